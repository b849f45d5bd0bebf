import { isMembers, parseJson } from '../domain/json.ts'
import { isLoopback } from '../domain/url.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault } from './fault.ts'
import { plain, shellWord } from './output.ts'
import { send } from './send.ts'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { causeOf } from './files.ts'
import type { Terminal } from './terminal.ts'

/** What the command line reads from the environment. */
export const clientSettings = {
  url: {
    name: 'DOWNSCOPE_URL',
    defaultsTo: '`http://127.0.0.1:8080`',
    means:
      'URL of the broker; `--url` takes precedence, and it takes precedence over the context of `downscope login`.',
  },
  adminKey: {
    name: 'DOWNSCOPE_ADMIN_KEY',
    defaultsTo: '',
    means:
      "A file with the administrator's private key, JWK or PEM, that signs a JWT for each request; `--admin-key` takes precedence.",
  },
  adminTokenFile: {
    name: 'DOWNSCOPE_ADMIN_TOKEN_FILE',
    defaultsTo: '',
    means:
      'A file with a JWT of the administrator, instead of a key; `-` is standard input; `--admin-token-file` takes precedence.',
  },
  adminIssuer: {
    name: 'DOWNSCOPE_ADMIN_ISSUER',
    defaultsTo: "the key file's member `iss`, else `ops`",
    means: 'The issuer that the key signs as.',
  },
  adminSubject: {
    name: 'DOWNSCOPE_ADMIN_SUBJECT',
    defaultsTo: "the key file's member `sub`, else the issuer",
    means: 'The subject that the key signs as.',
  },
  idToken: {
    name: 'DOWNSCOPE_ID_TOKEN',
    defaultsTo: '',
    means: 'The ID token of a GitLab job, for `--platform gitlab`.',
  },
} as const

export const urlOptions: readonly OptionSpec[] = [
  {
    name: '--url',
    value: 'URL',
    summary: `where the broker is (${clientSettings.url.name}; else that of downscope context use; else http://127.0.0.1:8080)`,
    group: 'Connection:',
  },
  {
    name: '--broker-issuer',
    value: 'URL',
    summary:
      'the public URL the broker calls itself, where that is another (DOWNSCOPE_ISSUER, of the broker in DOWNSCOPE_URL)',
    group: 'Connection:',
  },
]

/** Where the broker is, without a slash at the end. JWTs go there, so it is https, or this very machine. */
export function brokerUrl(call: Call): string {
  const given = call.text('--url') ?? urlInEnvironment(call)
  const url = given === '' ? (currentContext(call.terminal.env)?.url ?? 'http://127.0.0.1:8080') : given
  const parsed = URL.parse(url)
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol))
    throw createFault('usage', `${url} is not the URL of a broker`, {
      hints: [`For example: --url https://tokens.acme.example, or ${clientSettings.url.name}.`],
    })
  if (parsed.protocol === 'http:' && !isLoopback(parsed.hostname))
    throw createFault('usage', `${url} would send a JWT without TLS`, {
      hints: ['Use https; http is for a broker on this machine.'],
    })
  if (parsed.search !== '' || parsed.hash !== '' || parsed.username !== '')
    throw createFault('usage', `the URL of a broker has no query, fragment or user`)
  return url.replace(/\/+$/, '')
}

function urlInEnvironment({ terminal }: Call): string {
  return terminal.env[clientSettings.url.name]?.trim() ?? ''
}

/** Whether the environment has settings of a broker itself, and not only where one is. */
export function hasBrokerSettings(env: Env): boolean {
  const names = ['DOWNSCOPE_ISSUER', 'DOWNSCOPE_STORE', 'DOWNSCOPE_KEYS', 'DOWNSCOPE_KEY_RING']
  return names.some((name) => (env[name] ?? '') !== '')
}

/**
 * What the broker calls itself, for the `aud` of a JWT. Only what is known beforehand counts: a JWT made out to the
 * name that a server at that URL gives itself could be used elsewhere by that server.
 */
export async function brokerIssuer(call: Call): Promise<string> {
  const named = call.text('--broker-issuer')
  if (named !== undefined) return named
  const url = brokerUrl(call)
  const own = call.terminal.env['DOWNSCOPE_ISSUER']?.trim() ?? ''
  // The environment speaks of the broker that it names, and not of one at --url, or of whatever listens at the default.
  const isOfEnvironment = call.text('--url') === undefined && urlInEnvironment(call) !== ''
  if (own !== '' && (isOfEnvironment || isAt(own, url))) return own
  const issuer = await askIssuer(url)
  if (isAt(issuer, url)) return issuer
  throw createFault('usage', `the broker at ${url} calls itself ${plain(issuer)}`, {
    hints: [`If that is right, say so: --broker-issuer ${shellWord(issuer)}`],
  })
}

function isAt(issuer: string, url: string): boolean {
  return issuer.replace(/\/+$/, '') === url
}

/** RFC 8414: the `issuer` of the metadata. */
export async function askIssuer(url: string): Promise<string> {
  const { status, document } = await send(`${url}/.well-known/oauth-authorization-server`)
  const issuer = isMembers(document) ? document['issuer'] : undefined
  if (status === 200 && typeof issuer === 'string' && URL.canParse(issuer)) return issuer
  throw createFault('unreachable', `what answers at ${url} is no broker (status ${status})`, {
    hints: ['Is the URL right? A path belongs to it where the broker has one.'],
  })
}

/** One broker, and who somebody is there. */
export type Context = z.output<typeof contextDocument>

interface Contexts {
  /** The name of the one that is used where nothing else is said. */
  readonly current?: string | undefined
  readonly contexts: Readonly<Record<string, Context>>
}

const contextDocument = z.object({
  url: z.string(),
  issuer: z.string(),
  client_id: z.string(),
  client_secret: z.optional(z.string()),
  id_token: z.optional(z.string()),
  refresh_token: z.optional(z.string()),
})
const contextsDocument = z.object({
  schema: z.literal(1),
  current: z.optional(z.string()),
  contexts: z.record(z.string(), contextDocument),
})

type Env = Terminal['env']

/** The user's own, by the XDG base directory specification; for the user alone, since tokens are in it. */
function contextsFile(env: Env): string {
  const base = env['XDG_CONFIG_HOME'] ?? env['APPDATA'] ?? join(env['HOME'] ?? homedir(), '.config')
  return join(base, 'downscope', 'contexts.json')
}

export function readContexts(env: Env): Contexts {
  let text: string
  try {
    text = readFileSync(contextsFile(env), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { contexts: {} }
    throw createFault('usage', `${contextsFile(env)} cannot be read: ${causeOf(error)}`)
  }
  const parsed = contextsDocument.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw createFault('usage', `${contextsFile(env)} is damaged`, {
    hints: ['Delete it, and sign in again: downscope login'],
  })
}

/** Whole or not at all: another command may read it meanwhile. */
export function writeContexts(env: Env, { current, contexts }: Contexts): void {
  const file = contextsFile(env)
  const next = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(next, `${JSON.stringify({ schema: 1, current, contexts }, undefined, 2)}\n`, {
      mode: 0o600,
    })
    renameSync(next, file)
  } catch (error) {
    throw createFault('usage', `${file} cannot be written: ${causeOf(error)}`)
  }
}

function currentContext(env: Env): Context | undefined {
  const { current, contexts } = readContexts(env)
  return current === undefined ? undefined : contexts[current]
}

/** The context of a broker: a token that was got for one broker is never shown to another. */
export function contextOf(env: Env, url: string): { name: string; context: Context } | undefined {
  const { current, contexts } = readContexts(env)
  const names = Object.keys(contexts).toSorted(
    (one, other) => Number(other === current) - Number(one === current),
  )
  for (const name of names) {
    const context = contexts[name]
    if (context?.url === url) return { name, context }
  }
  return undefined
}
