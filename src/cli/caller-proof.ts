import { jwtFromCommand, jwtFromFile, jwtFromPlatform, platforms } from '../agent/proofs.ts'
import { brokerBase, confirmIssuer, type ProofOfCaller } from '../client/broker-connection.ts'
import { platformRuntime } from '../client/runtime.ts'
import { isTokenError } from '../client/token-error.ts'
import { clientSettings } from './broker-url.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault, type Fault } from './fault.ts'
import { readKeyFile } from './key-file.ts'

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

export interface BrokerGiven {
  readonly url: string
  readonly issuer: string | undefined
}

/** Where the broker is, and what it is known to call itself. */
export function brokerGiven(call: Call): BrokerGiven {
  const url = call.text('--broker') ?? call.terminal.env[clientSettings.url.name]?.trim()
  if (url === undefined || url === '')
    throw createFault('usage', 'which broker? Pass --broker URL', {
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

export interface ProofGiven {
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
