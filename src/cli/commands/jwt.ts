import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { Writable } from 'node:stream'
import { claimsOf } from '../../domain/json.ts'
import {
  readAdminIdentity,
  audienceFor,
  brokerGiven,
  brokerOptions,
  proofGiven,
  proofOptions,
} from '../identity.ts'
import { brokerUrl, clientSettings, contextOf } from '../broker-url.ts'
import type { Call, Command } from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { json, note, shellWord } from '../output.ts'
import { writeNewFile, refuseExisting } from '../files.ts'
import { dryRunOption, showNothingDone } from '../request-shown.ts'

const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

export const jwtCommands: readonly Command[] = [
  {
    name: 'jwt',
    summary: "sign or find the caller's JWT, and print it",
    details:
      'Its audience is the broker that is named. Without a proof it is the JWT of the administrator in the ' +
      "environment. --executable prints it, and every failure, in the form of Google's executable sources.",
    options: [
      ...brokerOptions,
      ...proofOptions,
      { name: '--executable', summary: "print the JSON that Google's client libraries read from a program" },
    ],
    examples: [
      'downscope jwt --broker https://tokens.acme.example --key billing.jwk.json',
      'downscope jwt --broker https://tokens.acme.example --platform gce --executable',
    ],
    run: printJwt,
  },
  {
    name: 'credential-file',
    summary: "write an external_account file for Google's client libraries and gcloud",
    details:
      'For GOOGLE_APPLICATION_CREDENTIALS, the same for Node, Python, Go, Java and gcloud. --jwt-file, --jwt-url and ' +
      '--platform write down where the JWT is; --key writes down the command line that signs it.',
    arguments: [{ name: 'NAME', summary: 'the name of the credential', offer: 'credential' }],
    options: [
      ...brokerOptions,
      ...proofOptions,
      { name: '--jwt-url', value: 'URL', summary: 'an address that answers with the JWT' },
      {
        name: '--header',
        value: 'FILE',
        summary: 'headers for it, a line each: Name: value',
        offer: 'file',
      },
      { name: '--json-field', value: 'NAME', summary: 'the JWT is a member of a JSON document' },
      {
        name: '--impersonation',
        summary: "by the broker's IAM Credentials API, which gives gcloud the name of the account",
      },
      {
        name: '--output',
        value: 'FILE',
        summary: 'where it goes; by default standard output',
        offer: 'file',
      },
      dryRunOption,
    ],
    examples: [
      'downscope credential-file reports-sa --broker https://tokens.acme.example --jwt-file /var/run/secrets/tokens/downscope',
      'downscope credential-file reports-sa --broker https://tokens.acme.example --key billing.jwk.json --output reports.json',
    ],
    run: writeCredentialFile,
  },
]

async function printJwt(call: Call): Promise<Exit> {
  const isExecutable = call.has('--executable')
  try {
    // Node and Python read standard error as a part of the answer.
    const jwt = await findJwt(isExecutable ? quiet(call) : call)
    call.terminal.stdout.write(isExecutable ? `${JSON.stringify(executableAnswer(jwt))}\n` : `${jwt}\n`)
  } catch (error) {
    if (!isExecutable) throw error
    // The library shows its user code and message only where the program ended well.
    const message = error instanceof Error ? error.message : 'it failed'
    call.terminal.stdout.write(
      `${JSON.stringify({ version: 1, success: false, code: 'DOWNSCOPE', message })}\n`,
    )
  }
  return 'done'
}

async function findJwt(call: Call): Promise<string> {
  const broker = brokerGiven(call)
  const isProofGiven = proofOptions.some(({ name }) => call.text(name) !== undefined)
  if (!isProofGiven && (administratorIn(call) || isSignedIn(call))) {
    const { bearer } = await readAdminIdentity(call)
    return (await bearer(await audienceFor(broker))).reveal()
  }
  const { proof, isFixed } = await proofGiven(call)
  const audience = isFixed ? (broker.issuer ?? broker.url) : await audienceFor(broker)
  const jwt = await proof(audience)
  if (claimsOf(jwt) === undefined) throw createFault('refused', 'the file, program or platform gave no JWT')
  return jwt
}

function administratorIn({ terminal: { env } }: Call): boolean {
  const { adminKey, adminTokenFile } = clientSettings
  return [adminKey.name, adminTokenFile.name].some((name) => (env[name] ?? '').trim() !== '')
}

/** At the broker of the environment or the context, and not at another one that an option names. */
function isSignedIn(call: Call): boolean {
  if (call.text('--broker') !== undefined) return false
  return contextOf(call.terminal.env, brokerUrl(call))?.context.id_token !== undefined
}

/** https://google.aip.dev/auth/4117, version 1. */
function executableAnswer(jwt: string): object {
  const exp = claimsOf(jwt)?.['exp']
  return {
    version: 1,
    success: true,
    token_type: jwtType,
    id_token: jwt,
    ...(typeof exp === 'number' && { expiration_time: Math.floor(exp) }),
  }
}

function quiet(call: Call): Call {
  const stderr = new Writable({ write: (_chunk, _encoding, done) => done() })
  return { ...call, terminal: { ...call.terminal, stderr } }
}

async function writeCredentialFile(call: Call): Promise<Exit> {
  const name = call.argument('NAME')
  const { url, issuer = url } = brokerGiven(call)
  const { host, hostname } = new URL(issuer)
  const isImpersonated = call.has('--impersonation')
  const source = await credentialSource(call, issuer)
  const text = json({
    type: 'external_account',
    audience: isImpersonated ? `//${host}` : `//${host}/credentials/${name}`,
    subject_token_type: jwtType,
    token_url: `${url}/v1/token`,
    token_info_url: `${url}/v1/introspect`,
    ...(isImpersonated
      ? {
          service_account_impersonation_url: `${url}/v1/projects/-/serviceAccounts/${name}@${hostname}:generateAccessToken`,
        }
      : {}),
    credential_source: source,
  })
  const output = call.text('--output')
  if (output !== undefined && call.has('--dry-run')) {
    refuseExisting(output)
    return showNothingDone(call, { file: output }, `a credential file would be written to ${output}`)
  }
  if (output === undefined) call.terminal.stdout.write(text)
  else writeNewFile(output, text, { hint: 'No file is written over another.' })
  const exports = [
    ...(output === undefined ? [] : [['GOOGLE_APPLICATION_CREDENTIALS', resolve(output)] as const]),
    ...('executable' in source ? [['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES', '1'] as const] : []),
  ]
  for (const [setting, value] of exports)
    note(call, ({ dim }) => dim(`export ${setting}=${shellWord(value)}`))
  return 'done'
}

async function credentialSource(call: Call, audience: string): Promise<object> {
  const names = ['--jwt-file', '--jwt-url', '--platform', '--key', '--jwt-command'] as const
  const given = names.filter((name) => call.text(name) !== undefined)
  const [way] = given
  if (way === undefined || given.length > 1)
    throw createFault('usage', `JWT required: pass one of ${names.join(', ')}`)
  const value = call.text(way) ?? ''
  const field = call.text('--json-field')
  const format = field === undefined ? {} : { format: { type: 'json', subject_token_field_name: field } }
  switch (way) {
    case '--jwt-file':
      return { file: resolve(value), ...format }
    case '--jwt-url':
      return { url: value, headers: await headersIn(call), ...format }
    case '--platform':
      return platformSource(value, audience)
    case '--jwt-command':
      throw createFault('usage', 'the libraries run a program that prints JSON of Google’s form: use --key')
    case '--key':
      // Google's own default: on a busy machine Node takes seconds to start.
      return { executable: { command: signingCommand(call), timeout_millis: 30_000 } }
  }
}

function platformSource(platform: string, audience: string): object {
  if (platform !== 'gce' && platform !== 'cloud-run')
    throw createFault('usage', `--platform ${platform}: its token is in the environment of the job`, {
      hints: ['In GitHub Actions use the action of infra/action; else --jwt-file, or downscope agent exec.'],
    })
  const query = new URLSearchParams({ audience, format: 'full' }).toString()
  return {
    url: `http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?${query}`,
    headers: { 'Metadata-Flavor': 'Google' },
  }
}

/** The libraries split it at spaces and run no shell. */
function signingCommand(call: Call): string {
  const { url, issuer } = brokerGiven(call)
  const caller = call.text('--caller')
  const words = [
    process.execPath,
    realpathSync(process.argv[1] ?? ''),
    'jwt',
    '--executable',
    '--broker',
    url,
    ...(issuer === undefined ? [] : ['--broker-issuer', issuer]),
    '--key',
    resolve(call.text('--key') ?? ''),
    ...(caller === undefined ? [] : ['--caller', caller]),
  ]
  const spaced = words.find((word) => /\s/.test(word))
  if (spaced === undefined) return words.join(' ')
  throw createFault('usage', `${spaced} has a space in it, and the libraries split the command line there`)
}

async function headersIn(call: Call): Promise<Readonly<Record<string, string>>> {
  const file = call.text('--header')
  if (file === undefined) return {}
  const { readTextFile } = await import('../files.ts')
  const lines = (await readTextFile(file)).split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)\s*$/.exec(line) ?? []
      if (name === undefined || value === undefined)
        throw createFault('usage', `${file} has a line that is not a header`)
      return [name, value]
    }),
  )
}
