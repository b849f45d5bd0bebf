import type { Readable, Writable } from 'node:stream'
import type { Call } from './command.ts'
import { createFault } from './fault.ts'
import { isOnlyShown } from './request-shown.ts'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { parseJsonObject } from '../domain/json.ts'

/** Who gave the command, and where its words go. */
export interface Terminal {
  /** What stands after `downscope`. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Output
  readonly stderr: Output
  /** What `downscope dev` runs: the URL of the entry point on Node. */
  readonly brokerModule: string
}

export type Output = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly hasColors?: () => boolean
}

/** Whether somebody sits there who can be asked. */
function isInteractive({ stdin, stderr }: Terminal): boolean {
  return stdin.isTTY === true && stderr.isTTY === true
}

/**
 * Goes on only when somebody at a terminal says yes, or `--yes` was given. A script without it is refused: nobody is
 * there who could mean it.
 */
export async function confirm(call: Call, question: string): Promise<void> {
  if (call.has('--yes') || isOnlyShown(call)) return
  const { terminal } = call
  if (!isInteractive(terminal))
    throw createFault('usage', 'confirmation required: pass --yes, because there is no terminal to ask at')
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({
    message: question,
    initialValue: false,
    input: terminal.stdin,
    output: terminal.stderr,
    withGuide: false,
  })
  if (prompts.isCancel(answer)) throw createFault('interrupted', 'interrupted: nothing was done')
  if (!answer) throw createFault('refused', 'nothing was done')
}

/** The first signal that asks the process to end. */
export function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, done)
  })
}

/** A new caller or administrator who signs their own JWTs. */
export interface Person {
  readonly issuer: string
  readonly subject: string
  /** For a file; whoever has it is this person. */
  readonly privateJwk: object
  /** For the policy. */
  readonly publicJwk: object
}

export function createPerson(issuer: string, subject = issuer): Person {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `${issuer.replaceAll(/[^\w-]+/g, '-').slice(-40)}-${randomUUID().slice(0, 8)}`
  const { x, y } = publicKey.export({ format: 'jwk' })
  const publicJwk = { kty: 'EC', crv: 'P-256', kid, alg: 'ES256', x, y }
  const { d } = privateKey.export({ format: 'jwk' })
  return { issuer, subject, publicJwk, privateJwk: { ...publicJwk, d, iss: issuer, sub: subject } }
}

/** Whom a file with such a private key is of; `undefined` when it holds none. */
export function personIn(text: string): Person | undefined {
  const privateJwk = parseJsonObject(text) ?? {}
  const { kty, d, iss, sub } = privateJwk
  if (typeof d !== 'string' || typeof iss !== 'string' || typeof sub !== 'string') return undefined
  if (!isKeyType(kty)) return undefined
  const members = ['kty', 'kid', 'alg', ...publicMembers[kty]]
  const publicJwk = Object.fromEntries(members.map((name) => [name, privateJwk[name]]))
  return { issuer: iss, subject: sub, publicJwk, privateJwk }
}

/** RFC 7518 §6 and RFC 8037 §2: what of a key everybody may see. */
const publicMembers = { EC: ['crv', 'x', 'y'], OKP: ['crv', 'x'], RSA: ['n', 'e'] } as const

function isKeyType(kty: unknown): kty is keyof typeof publicMembers {
  return typeof kty === 'string' && Object.hasOwn(publicMembers, kty)
}

/** The entry of the policy that trusts the person's key. A self-issued caller has the issuer's own name. */
export function issuerEntry({ issuer, subject, publicJwk }: Person, name: string): string {
  const own = issuer === subject ? '\n    self_issued: true' : ''
  return `  - name: ${name}
    issuer: ${JSON.stringify(issuer)}${own}
    keys: { jwks: { keys: [${JSON.stringify(publicJwk)}] } }
`
}
