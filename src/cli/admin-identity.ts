import { Secret } from '../domain/secret.ts'
import { clientSettings } from './broker-url.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault } from './fault.ts'
import { claimsOf, readKeyFile } from './key-file.ts'
import { readInput } from './files.ts'

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
  throw createFault('usage', 'this needs an administrator, and none is named', {
    hints: [
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
  if (claims === undefined || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jwt))
    throw createFault('usage', `${place} holds no JWT`)
  const { iss, sub } = claims
  return {
    shown: `${String(iss)}/${String(sub)}, by the JWT in ${place}`,
    bearer: async () => new Secret(jwt),
  }
}

function setting(env: Call['terminal']['env'], name: string): string | undefined {
  const text = env[name]?.trim()
  return text === '' ? undefined : text
}
