import { isMembers, type Members } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import { brokerIssuer, brokerUrl, urlOptions } from '../broker-url.ts'
import { jwtOption, readCallerJwt, readKeyFile } from '../key-file.ts'
import {
  jsonOption,
  type Call,
  type Command,
  readTokenOptions,
  scopeHints,
  tokenOptions,
} from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { note, printAnswer, plain, commandLine, shellWord } from '../output.ts'
import { send, type Received } from '../send.ts'
import { curlOption } from '../request-shown.ts'
import { typePrefix } from '../../client/broker-connection.ts'

const apiKeyType = 'urn:downscope:params:oauth:token-type:api_key'

export const tokenCommands: readonly Command[] = [
  {
    name: 'token',
    summary: 'get a token as a caller does',
    details:
      'The caller is whoever the JWT names: one that a platform signed (--jwt), or one signed here with a private key ' +
      '(--key). Only the token goes to standard output.',
    arguments: [{ name: 'CREDENTIAL', summary: 'the name of the credential', offer: 'credential' }],
    options: [
      jwtOption,
      { name: '--key', value: 'FILE', summary: 'the private key of the caller, JWK or PEM', offer: 'file' },
      { name: '--issuer', value: 'NAME', summary: 'as whom the key signs, unless its file says' },
      { name: '--subject', value: 'NAME', summary: 'by default the issuer' },
      ...tokenOptions,
      { name: '--id-token', summary: 'an ID token instead of an access token' },
      { name: '--api-key', summary: 'the API key that the credential is, for it gives no tokens' },
      {
        name: '--header',
        summary: 'print a line for a request: Authorization: Bearer …, or X-Goog-Api-Key: …',
      },
      curlOption,
      jsonOption,
      ...urlOptions,
    ],
    examples: [
      'downscope token reports-sa --jwt /var/run/secrets/tokens/downscope',
      'downscope token team-calendar --key billing.jwk.json --scope https://www.googleapis.com/auth/calendar.readonly',
      'downscope token reports-sa --jwt workload.jwt --header | curl -H @- https://storage.googleapis.com/storage/v1/b/acme-reports/o',
      'gcloud auth print-identity-token --impersonate-service-account="$CALLER" --audiences="$DOWNSCOPE_URL" | downscope token reports-sa --jwt - --json',
    ],
    run: getToken,
  },
]

async function getToken(call: Call): Promise<Exit> {
  const parameters = await parametersOf(call)
  if (call.has('--curl')) {
    call.terminal.stdout.write(tokenCurl(call, parameters))
    return 'done'
  }
  const form = new URLSearchParams({
    ...(await proofOf(call)),
    audience: call.argument('CREDENTIAL'),
    ...parameters,
  })
  const received = await send(`${brokerUrl(call)}/v1/token`, { method: 'POST', body: form })
  if (received.status !== 200)
    throw refusal(received, call.argument('CREDENTIAL'), scopeHints(parameters['scope']))
  const token = parseToken(received)
  printAnswer(call, received.document, () =>
    call.has('--header') ? `${headerOf(token)}\n` : `${token.secret.reveal()}\n`,
  )
  // Beside a terminal only: in a pipe nobody reads it.
  if (call.terminal.stderr.isTTY === true) note(call, ({ dim }) => dim(describe(token)))
  return 'done'
}

/** The request as curl sends it: the JWT stays in its file, or is signed by `downscope jwt` when the line is run. */
function tokenCurl(call: Call, parameters: Readonly<Record<string, string>>): string {
  const [jwt, key] = [call.text('--jwt'), call.text('--key')]
  const url = brokerUrl(call)
  if ((jwt === undefined) === (key === undefined) || jwt === '-')
    throw createFault('usage', 'with --curl the caller is either --jwt FILE or --key FILE')
  const caller = call.text('--issuer')
  const issuer = call.text('--broker-issuer')
  const sign = ['downscope', 'jwt', '--broker', url, '--key', key ?? '']
  const named = [
    ...(issuer === undefined ? [] : ['--broker-issuer', issuer]),
    ...(caller === undefined ? [] : ['--caller', caller]),
  ]
  const proof =
    jwt === undefined
      ? [
          '-d grant_type=client_credentials',
          '-d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          `--data-urlencode "client_assertion=$(${commandLine([...sign, ...named])})"`,
        ]
      : [
          '-d grant_type=urn:ietf:params:oauth:grant-type:token-exchange',
          `-d subject_token_type=${typePrefix}jwt`,
          `--data-urlencode ${shellWord(`subject_token@${jwt}`)}`,
        ]
  const others = Object.entries({ audience: call.argument('CREDENTIAL'), ...parameters })
  return `${[
    `curl -sS ${shellWord(`${url}/v1/token`)}`,
    ...proof,
    ...others.map(([name, value]) => `--data-urlencode ${shellWord(`${name}=${value}`)}`),
  ].join(' \\\n  ')}\n`
}

async function proofOf(call: Call): Promise<Record<string, string>> {
  const keyFile = call.text('--key')
  if ((call.text('--jwt') === undefined) === (keyFile === undefined))
    throw createFault('usage', 'caller required: pass either --jwt FILE or --key FILE', {
      hints: [
        '--jwt: a JWT that the platform of the caller signed, for example of Kubernetes.',
        '--key: the private key of a caller that signs for itself: downscope keys generate caller FILE.',
      ],
    })
  const shown = await readCallerJwt(call)
  if (shown !== undefined)
    return {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: `${typePrefix}jwt`,
      subject_token: shown.jwt.reveal(),
    }
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: (await assertionBy(keyFile ?? '', call)).reveal(),
  }
}

async function assertionBy(path: string, call: Call): Promise<Secret> {
  const file = await readKeyFile(path, call.terminal)
  const issuer = call.text('--issuer') ?? file.issuer
  if (issuer === undefined)
    throw createFault('usage', `${path} does not say whose key it is`, {
      hints: ['For example: --issuer billing'],
    })
  const subject = call.text('--subject') ?? file.subject ?? issuer
  return file.sign({ issuer, subject, audience: await brokerIssuer(call) })
}

async function parametersOf(call: Call): Promise<Record<string, string>> {
  const { scopes, lifetimeSeconds, actFor, boundary, resource } = await readTokenOptions(call)
  const parameters: readonly (readonly [string, string | undefined])[] = [
    ['scope', scopes?.join(' ')],
    ['requested_lifetime', lifetimeSeconds?.toString()],
    ['requested_subject', actFor],
    ['resource', resource],
    ['requested_token_type', wantedType(call)],
    ['options', boundary === undefined ? undefined : JSON.stringify(boundary)],
  ]
  return Object.fromEntries(
    parameters.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function wantedType(call: Call): string | undefined {
  if (call.has('--id-token') && call.has('--api-key'))
    throw createFault('usage', '--id-token and --api-key exclude each other')
  if (call.has('--api-key')) return apiKeyType
  return call.has('--id-token') ? `${typePrefix}id_token` : undefined
}

interface Token {
  readonly secret: Secret
  /** `access_token`, `id_token`, or what else it says it is. */
  readonly type: string
  readonly expiresIn: number | undefined
  readonly scope: string | undefined
}

function parseToken({ document, requestId }: Received): Token {
  const answer: Members = isMembers(document) ? document : {}
  const { access_token: text, issued_token_type: type, expires_in: expiresIn, scope } = answer
  if (typeof text !== 'string' || typeof type !== 'string')
    throw createFault('refused', 'what came back is no token', { requestId })
  return {
    secret: new Secret(text),
    type: type.startsWith(typePrefix) ? type.slice(typePrefix.length) : type,
    expiresIn: typeof expiresIn === 'number' ? expiresIn : undefined,
    scope: typeof scope === 'string' ? scope : undefined,
  }
}

/** RFC 6750 §2.1; an API key is no bearer token, and Google reads it elsewhere. */
function headerOf({ secret, type }: Token): string {
  return type === 'access_token' || type === 'id_token'
    ? `Authorization: Bearer ${secret.reveal()}`
    : `X-Goog-Api-Key: ${secret.reveal()}`
}

function describe({ type, expiresIn, scope }: Token): string {
  if (type === apiKeyType) return `API key${expiresIn === undefined ? '' : `, ask again in ${expiresIn} s`}`
  const life = expiresIn === undefined ? '' : `, good for ${expiresIn} s`
  const carried = scope === undefined ? '' : `, carries ${plain(scope)}`
  return `${plain(type).replaceAll('_', ' ')}${life}${carried}`
}

/** RFC 6749 §5.2. The answer says little on purpose: the reason is for the operator. */
function refusal(
  { status, document, headers, requestId }: Received,
  credential: string,
  meant: readonly string[],
): Error {
  const { error, error_description: description } = isMembers(document) ? document : {}
  const words = [description, error].find((text) => typeof text === 'string')
  const wait = headers.get('retry-after')
  const isLater = status === 429 || status === 502 || status === 503 || status === 504
  return createFault(
    isLater ? 'unreachable' : 'refused',
    `no token of ${credential}: ${typeof words === 'string' ? plain(words) : `the broker answers ${status}`}`,
    {
      code: typeof error === 'string' ? error : undefined,
      requestId,
      hints: [
        ...(error === 'invalid_scope' ? meant : []),
        ...(isLater || requestId === undefined
          ? []
          : [
              `An administrator learns why: ${commandLine(['downscope', 'explain', '--request', requestId])}`,
            ]),
        ...(wait === null ? [] : [`Try again in ${plain(wait)} s.`]),
      ],
    },
  )
}
