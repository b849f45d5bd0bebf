import { isMembers } from '../domain/json.ts'
import { isLoopback } from '../domain/url.ts'
import type { Call, OptionSpec } from './command.ts'
import { currentContext } from './contexts.ts'
import { createFault } from './fault.ts'
import { plain, shellWord } from './output.ts'
import { send } from './send.ts'

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
