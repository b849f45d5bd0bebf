import { claimsOf } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { brokerUrl, clientSettings, contextOf, readContexts, writeContexts } from './broker-url.ts'
import { refreshIdToken } from './sign-in.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault, type Fault } from './fault.ts'
import { readKeyFile } from './key-file.ts'
import { readInput } from './files.ts'
import { jwtFromCommand, jwtFromFile, jwtFromPlatform, platforms } from '../agent/proofs.ts'
import {
  brokerBase,
  confirmIssuer,
  type ProofOfCaller,
  platformRuntime,
} from '../client/broker-connection.ts'
import { isTokenError } from '../client/token-error.ts'

/** Who asks the admin API. */
export interface AdminIdentity {
  /** For people: `ops/ops, by the key in admin.jwk.json`. */
  readonly shown: string
  /** A bearer token that this broker alone takes. */
  readonly bearer: (audience: string) => Promise<Secret>
}

export const identityOptions: readonly OptionSpec[] = [
  {
    name: '--admin-key',
    value: 'FILE',
    summary: `the administrator's private key (${clientSettings.adminKey.name})`,
    offer: 'file',
    group: 'Connection:',
  },
  {
    name: '--admin-token-file',
    value: 'FILE',
    summary: `a JWT of the administrator instead, - is standard input (${clientSettings.adminTokenFile.name})`,
    offer: 'file',
    group: 'Connection:',
  },
]

/** What an option says, or else what the environment says. Throws when there is nothing, or two things at once. */
export async function readAdminIdentity(call: Call): Promise<AdminIdentity> {
  const { env } = call.terminal
  const [keyOption, tokenOption] = [call.text('--admin-key'), call.text('--admin-token-file')]
  const isGiven = keyOption !== undefined || tokenOption !== undefined
  const key = isGiven ? keyOption : setting(env, clientSettings.adminKey.name)
  const token = isGiven ? tokenOption : setting(env, clientSettings.adminTokenFile.name)
  if (key !== undefined && token !== undefined)
    throw createFault('usage', "the administrator's key and the administrator's token are both given", {
      hints: [`Use one: ${clientSettings.adminKey.name} or ${clientSettings.adminTokenFile.name}.`],
    })
  if (key !== undefined) return identityByKey(key, call)
  if (token !== undefined) return identityByToken(token, call)
  const signedIn = identityBySignIn(call)
  if (signedIn !== undefined) return signedIn
  throw createFault('usage', 'administrator required, and none is named', {
    hints: [
      'downscope login signs you in, where the broker knows where people do.',
      `Set ${clientSettings.adminKey.name} to the file of the administrator's key, or give --admin-key FILE.`,
      'downscope keys generate admin FILE makes a key, and says what belongs into the policy.',
    ],
  })
}

async function identityByKey(path: string, { terminal }: Call): Promise<AdminIdentity> {
  const file = await readKeyFile(path, terminal)
  const issuer = setting(terminal.env, clientSettings.adminIssuer.name) ?? file.issuer ?? 'ops'
  const subject = setting(terminal.env, clientSettings.adminSubject.name) ?? file.subject ?? issuer
  return {
    shown: `${issuer}/${subject}, by the key in ${path}`,
    bearer: (audience) => file.sign({ issuer, subject, audience }),
  }
}

async function identityByToken(path: string, { terminal }: Call): Promise<AdminIdentity> {
  const jwt = (await readInput(path, terminal)).trim()
  const place = path === '-' ? 'standard input' : path
  const claims = claimsOf(jwt)
  if (claims === undefined) throw createFault('usage', `${place} holds no JWT`)
  const { iss, sub } = claims
  return {
    shown: `${String(iss)}/${String(sub)}, by the JWT in ${place}`,
    bearer: async () => new Secret(jwt),
  }
}

/** Whoever signed in at this very broker. */
function identityBySignIn(call: Call): AdminIdentity | undefined {
  const { env } = call.terminal
  const found = contextOf(env, brokerUrl(call))
  const { id_token: idToken } = found?.context ?? {}
  if (found === undefined || idToken === undefined) return undefined
  const { iss, sub } = claimsOf(idToken) ?? {}
  return {
    shown: `${String(iss)}/${String(sub)}, signed in`,
    bearer: async () => new Secret(await freshIdToken(env, found.name)),
  }
}

/** Where less than this is left of an ID token, a new one is asked for. */
const leftMin = 60

async function freshIdToken(env: Call['terminal']['env'], name: string): Promise<string> {
  const { current, contexts } = readContexts(env)
  const context = contexts[name]
  const { id_token: idToken = '', refresh_token: refreshToken } = context ?? {}
  const exp = claimsOf(idToken)?.['exp']
  if (typeof exp === 'number' && exp - Date.now() / 1000 > leftMin) return idToken
  const { issuer, client_id: clientId, client_secret: clientSecret } = context ?? {}
  const fresh =
    refreshToken === undefined || issuer === undefined || clientId === undefined
      ? undefined
      : await refreshIdToken({ issuer, clientId, clientSecret }, refreshToken)
  if (context === undefined || fresh === undefined)
    throw createFault('forbidden', 'your sign-in has ended', {
      hints: ['downscope login signs you in again.'],
    })
  const renewed = { ...context, id_token: fresh.idToken, refresh_token: fresh.refreshToken }
  writeContexts(env, { current, contexts: { ...contexts, [name]: renewed } })
  return fresh.idToken
}

function setting(env: Call['terminal']['env'], name: string): string | undefined {
  const text = env[name]?.trim()
  return text === '' ? undefined : text
}

export const brokerOptions: readonly OptionSpec[] = [
  { name: '--broker', value: 'URL', summary: `where the broker is (${clientSettings.url.name})` },
  {
    name: '--broker-issuer',
    value: 'URL',
    summary: 'what the broker calls itself, where that is another URL',
  },
]

export const proofOptions: readonly OptionSpec[] = [
  {
    name: '--jwt-file',
    value: 'FILE',
    summary: 'a file with the JWT, which the platform renews',
    offer: 'file',
  },
  { name: '--jwt-command', value: 'COMMAND', summary: 'a program that prints the JWT; no shell runs it' },
  { name: '--platform', value: 'NAME', summary: 'whose ID token is the JWT', offer: platforms },
  { name: '--key', value: 'FILE', summary: 'a private key that signs a JWT each time', offer: 'file' },
  { name: '--caller', value: 'NAME', summary: 'as whom the key signs, unless its file says' },
]

interface BrokerGiven {
  readonly url: string
  readonly issuer: string | undefined
}

/** Where the broker is, and what it is known to call itself. */
export function brokerGiven(call: Call): BrokerGiven {
  const url = call.text('--broker') ?? call.terminal.env[clientSettings.url.name]?.trim()
  if (url === undefined || url === '')
    throw createFault('usage', 'broker required: pass --broker URL', {
      hints: [`For example: --broker https://tokens.acme.example, or ${clientSettings.url.name}.`],
    })
  try {
    return { url: brokerBase(url), issuer: call.text('--broker-issuer') }
  } catch (error) {
    throw asUsage(error)
  }
}

/**
 * What the JWT is made out to: the URL that was given, or the name that was given. What the broker's metadata says is
 * only compared (THREATS T28).
 */
export async function audienceFor({ url, issuer }: BrokerGiven): Promise<string> {
  if (issuer !== undefined) return issuer
  try {
    await confirmIssuer(url, platformRuntime)
  } catch (error) {
    // A broker that is down claims nothing.
    if (isTokenError(error) && error.code === 'configuration') throw asUsage(error)
  }
  return url
}

interface ProofGiven {
  readonly proof: ProofOfCaller
  /** Its audience is settled elsewhere: by the platform that writes the file, by the command's own words. */
  readonly isFixed: boolean
}

/** The one proof that the options name. */
export async function proofGiven(call: Call): Promise<ProofGiven> {
  const given = proofNames.filter((name) => call.text(name) !== undefined)
  const [name] = given
  if (name === undefined || given.length > 1)
    throw createFault('usage', `caller required: pass one of ${proofNames.join(', ')}`, {
      hints: [
        '--jwt-file: the platform writes a JWT into a file, as Kubernetes and SPIRE do.',
        '--key: a caller that signs for itself: downscope keys generate caller FILE.',
      ],
    })
  const value = call.text(name) ?? ''
  try {
    switch (name) {
      case '--jwt-file':
        return { proof: jwtFromFile(value), isFixed: true }
      case '--jwt-command':
        return { proof: jwtFromCommand(value, call.terminal.env), isFixed: true }
      case '--platform': {
        const platform = platforms.find((one) => one === value) ?? platforms[0]
        return { proof: jwtFromPlatform(platform, call.terminal.env), isFixed: false }
      }
      case '--key':
        return { proof: await proofByKey(value, call), isFixed: false }
    }
  } catch (error) {
    throw asUsage(error)
  }
}

const proofNames = ['--jwt-file', '--jwt-command', '--platform', '--key'] as const

async function proofByKey(path: string, call: Call): Promise<ProofOfCaller> {
  const file = await readKeyFile(path, call.terminal)
  const caller = call.text('--caller')
  const issuer = caller ?? file.issuer
  if (issuer === undefined)
    throw createFault('usage', `${path} does not say whose key it is`, {
      hints: ['For example: --caller billing'],
    })
  const subject = caller ?? file.subject ?? issuer
  return async (audience) => (await file.sign({ issuer, subject, audience })).reveal()
}

function asUsage(error: unknown): Fault | Error {
  if (isTokenError(error)) return createFault('usage', error.message)
  return error instanceof Error ? error : new Error(String(error))
}
