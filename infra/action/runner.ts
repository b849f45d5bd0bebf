import { randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { confirmIssuer, platformRuntime } from '../../src/client/broker-connection.ts'

/** An input of the action, as the runner hands it over. */
export function input(name: string, isRequired = false): string {
  const value = (process.env[`INPUT_${name.toUpperCase()}`] ?? '').trim()
  if (isRequired && value === '') throw new Error(`the input ${name} is required`)
  return value
}

/** Never what the broker's metadata claims (THREATS T28). */
export async function confirmedAudience(broker: string, issuer: string): Promise<string> {
  if (issuer !== '') return issuer
  await confirmIssuer(broker, platformRuntime)
  return broker
}

/** The runner replaces it in every log from now on. */
export function mask(secret: string): void {
  process.stdout.write(`::add-mask::${secret}\n`)
}

export function setOutput(name: string, value: string): void {
  const end = `end-${randomUUID()}`
  appendFileSync(process.env['GITHUB_OUTPUT'] ?? '/dev/null', `${name}<<${end}\n${value}\n${end}\n`)
}

/** A failure is one line of the runner's form, without a stack. */
export async function runStep(step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    const message = error instanceof Error ? error.message : 'it failed'
    process.stdout.write(`::error::downscope: ${message.replaceAll(/[\r\n]+/g, ' ')}\n`)
    process.exitCode = 1
  }
}
