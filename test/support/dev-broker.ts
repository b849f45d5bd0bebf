import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { load } from 'js-yaml'
import { expect, onTestFinished } from 'vitest'
import { signInSettings, enrolDevelopmentClient } from '../../src/cli/commands/dev.ts'
import { startDevelopmentIssuer } from '../../src/cli/dev/development-issuer.ts'
import { makeFirstFiles } from '../../src/cli/dev/first-files.ts'
import { freePort } from './free-port.ts'
import { startGoogleStandIn } from './google/stand-in.ts'
import { runCli, type CliOutcome } from './run-cli.ts'
import { plainEnvironment, repository } from './run-node.ts'
import { until } from './test-broker/until.ts'

export interface DevPlace {
  readonly url: string
  /** Of the people and of what is connected. */
  readonly issuer: string
  /** The private key of the caller `my-service`. */
  readonly key: string
}

/** `downscope dev` in a process and a folder of its own, until the test is over. */
export async function startDev(env: Readonly<Record<string, string>> = {}): Promise<DevPlace> {
  const [folder, port] = [temporaryFolder(), await freePort()]
  const program = join(repository, 'infra/downscope.mjs')
  const child = spawn(process.execPath, [program, 'dev', '--folder', folder, '--port', String(port)], {
    cwd: repository,
    env: { ...plainEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await until('downscope dev is there', () => said.includes('Running until'))
  const issuer = /the development issuer is (?<url>\S+)/.exec(said)?.groups?.['url'] ?? ''
  return { url: `http://127.0.0.1:${port}`, issuer, key: join(folder, 'my-service.jwk.json') }
}

/**
 * A broker with what `downscope dev` makes for its own: `start` gets its settings but for the store, and the policy is
 * one of them.
 */
export async function startWithDevFiles(
  start: (settings: Readonly<Record<string, string>>) => Promise<unknown>,
): Promise<DevPlace> {
  const [folder, port] = [temporaryFolder(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const issuer = await startDevelopmentIssuer({ port: 0, broker: url })
  onTestFinished(() => issuer.close())
  const { policyFile, sealingKeys } = makeFirstFiles(folder, issuer.url)
  await start({
    DOWNSCOPE_ISSUER: url,
    DOWNSCOPE_KEYS: sealingKeys,
    DOWNSCOPE_POLICY_YAML: JSON.stringify(load(readFileSync(policyFile, 'utf8'))),
    ...signInSettings(issuer),
  })
  await enrolDevelopmentClient(url, folder, {
    args: [],
    env: {},
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    brokerModule: 'file:///nowhere',
  })
  return { url, issuer: issuer.url, key: join(folder, 'my-service.jwk.json') }
}

/** Until the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-story-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface StoryPlace extends DevPlace {
  /** Asks for a token as `my-service`, at the command line. */
  readonly token: (credential: string, scope?: string) => Promise<CliOutcome>
}

/** A fresh `downscope dev` with Google's stand-in behind it, and a key of a service account that can be rotated. */
export async function startStoryPlace(): Promise<StoryPlace> {
  const google = await startGoogleStandIn()
  onTestFinished(() => google.close())
  const place = await startDev(google.endpoints)
  const email = 'reports@acme.iam.gserviceaccount.com'
  const file = join(temporaryFolder(), 'key.json')
  writeFileSync(file, JSON.stringify(await google.createServiceAccount({ email })))
  google.allowKeyAdministration(email, email)
  const { url, key } = place
  const admin = ['--url', url, '--admin-key', join(dirname(key), 'admin.jwk.json')]
  const imported = await runCli(['credentials', 'import', file, '--name', 'reports-sa', ...admin])
  expect([imported.status, imported.stderr]).toEqual([0, expect.stringContaining('delete')])
  return {
    ...place,
    token: (credential, scope) =>
      runCli([
        'token',
        credential,
        '--key',
        key,
        '--url',
        url,
        ...(scope === undefined ? [] : ['--scope', scope]),
      ]),
  }
}
