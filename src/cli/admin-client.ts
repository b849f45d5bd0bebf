import type * as z from 'zod/mini'
import { isMembers } from '../domain/json.ts'
import { readAdminIdentity, identityOptions, type AdminIdentity } from './identity.ts'
import { brokerIssuer, brokerUrl, urlOptions } from './broker-url.ts'
import { jsonOption, type Call, type OptionSpec } from './command.ts'
import { type Exit, createFault, isFault } from './fault.ts'
import { send, type Received } from './send.ts'
import { counted, plain, printAnswer, warn, type Paint } from './output.ts'
import { adminCurl, curlOption, dryRunOption, showDryRun, shownInstead } from './request-shown.ts'

/** One act of administration. */
export interface AdminRequest<T> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/v1/admin/`. */
  readonly path: string
  readonly body?: object
  /** A policy, in place of `body`. */
  readonly yaml?: string
  /** JSON lines, in place of `body`. */
  readonly lines?: string
  readonly ifMatch?: string
  /** What to name in `If-Match` as it is when the request is sent, where that is a line of its own to ask. */
  readonly ifMatchOf?: string
  /** Where the policy, or the body's `secret`, was read from. */
  readonly file?: string
  /** Changes nothing although it is no GET, or is only looked up beforehand: sent with `--dry-run` too. */
  readonly isRead?: boolean
  /** What a broker answers. */
  readonly answer: z.ZodMiniType<T>
}

export interface AdminAnswer<T> {
  readonly value: T
  /** As it came, for `--json`. */
  readonly document: unknown
  readonly text: string
  readonly etag: string | undefined
  readonly receivedAt: Date
}

export interface AdminClient {
  readonly url: string
  readonly identity: AdminIdentity
  /** Throws a fault with the broker's own words unless it did what was asked. */
  readonly ask: <T>(request: AdminRequest<T>) => Promise<AdminAnswer<T>>
}

/** What every command takes that asks the admin API. */
export const adminOptions: readonly OptionSpec[] = [jsonOption, ...urlOptions, ...identityOptions]
/** Of one that reads, and of one that changes something. */
export const readOptions: readonly OptionSpec[] = [curlOption, ...adminOptions]
export const changeOptions: readonly OptionSpec[] = [dryRunOption, ...readOptions]

/** The admin API as the one whom the options and the environment name. */
export async function connect(call: Call): Promise<AdminClient> {
  const url = brokerUrl(call)
  if (call.has('--curl')) return showingClient(call, url)
  const identity = await readAdminIdentity(call)
  const audience = await brokerIssuer(call)
  return {
    url,
    identity,
    ask: async (request) => {
      if (call.has('--dry-run') && request.method !== 'GET' && request.isRead !== true) {
        showDryRun(call, url, request)
        throw shownInstead()
      }
      const bearer = await identity.bearer(audience)
      const received = await send(`${url}/v1/admin/${request.path}`, {
        method: request.method,
        headers: { ...headersOf(request), authorization: `Bearer ${bearer.reveal()}` },
        ...bodyOf(request),
      })
      if (received.status < 200 || received.status > 299) throw refusal(received, identity, request.path)
      const etag = received.headers.get('etag') ?? undefined
      return {
        value: parseAnswer(request, received),
        document: received.document,
        text: received.text,
        etag,
        receivedAt: new Date(),
      }
    },
  }
}

/** Asks again and again, for `audit tail` and `status`: once it was answered, a broker that is away for a while is waited for. */
export async function keepAsking(
  call: Call,
  seconds: number,
  ask: (count: number) => Promise<void>,
): Promise<never> {
  let isAway = false
  for (let count = 0; ; count += 1) {
    try {
      await ask(count)
      if (isAway) warn(call.terminal, 'the broker answers again')
      isAway = false
    } catch (error) {
      if (count === 0 || !isFault(error) || error.exit !== 'unreachable') throw error
      if (!isAway)
        warn(call.terminal, `${error.message}; it is asked again every ${counted(seconds, 'second')}`)
      isAway = true
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  }
}

/** Asks the broker once, and prints the answer: as it came with `--json`, and in `words` for people. */
export async function askAndPrint<T>(
  call: Call,
  request: AdminRequest<T>,
  words: (answer: T, paint: Paint) => string,
): Promise<T> {
  const client = await connect(call)
  const { value, document } = await client.ask(request)
  printAnswer(call, document, (paint) => words(value, paint))
  return value
}

/** Sends nothing, and ends the command by its first request that is more than a look beforehand. */
function showingClient(call: Call, url: string): AdminClient {
  const nobody = () => Promise.reject(new Error('nothing is sent with --curl'))
  return {
    url,
    identity: { shown: 'whoever runs it', bearer: nobody },
    ask: (request) => {
      call.terminal.stdout.write(adminCurl(call, url, request))
      return Promise.reject(shownInstead())
    },
  }
}

function headersOf({ body, yaml, lines, ifMatch }: AdminRequest<unknown>): Record<string, string> {
  const headers: Record<string, string> = {}
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (yaml !== undefined) headers['content-type'] = 'application/yaml'
  if (lines !== undefined) headers['content-type'] = 'application/jsonl'
  if (ifMatch !== undefined) headers['if-match'] = ifMatch
  return headers
}

function bodyOf({ body, yaml, lines }: AdminRequest<unknown>): { readonly body?: string } {
  const text = yaml ?? lines
  if (text !== undefined) return { body: text }
  return body === undefined ? {} : { body: JSON.stringify(body) }
}

function parseAnswer<T>({ answer, path }: AdminRequest<T>, { document, requestId }: Received): T {
  const parsed = answer.safeParse(document)
  if (parsed.success) return parsed.data
  throw createFault(
    'refused',
    `what came back from ${path} is not the answer of a broker that this version knows`,
    {
      requestId,
      hints: [
        'Are the command line and the broker of the same version? downscope --version, downscope service status.',
        plain(parsed.error.message),
      ],
    },
  )
}

/** RFC 9457: `detail` says what is wrong, `code` is stable. */
function refusal(
  { status, headers, document, requestId }: Received,
  identity: AdminIdentity,
  path: string,
): Error {
  const problem = isMembers(document) ? document : {}
  const { detail, title, code } = problem
  const words = [detail, title].find((text) => typeof text === 'string')
  const wait = headers.get('retry-after')
  const known = typeof code === 'string' ? code : undefined
  const message =
    typeof words === 'string' ? words.split('\n').map(plain).join('\n') : `the broker answers ${status}`
  return createFault(exitOf(status), message, {
    code: known,
    requestId,
    hints: [
      ...hintsOf(known ?? String(status), path, identity),
      ...(wait === null ? [] : [`Try again in ${plain(wait)} s.`]),
    ],
  })
}

function exitOf(status: number): Exit {
  switch (status) {
    case 401:
    case 403:
      return 'forbidden'
    case 412:
    case 428:
      return 'changed'
    case 429:
    case 502:
    case 503:
    case 504:
      return 'unreachable'
    default:
      return 'refused'
  }
}

function hintsOf(code: string, path: string, { shown }: AdminIdentity): readonly string[] {
  switch (code) {
    case 'admin_unauthenticated':
      return [
        `You are ${shown}. Policy must name that issuer with that key; downscope doctor looks for the cause.`,
      ]
    case 'admin_forbidden':
      return [`You are ${shown}. The part "admins" of the policy says which role that is.`]
    case 'policy_unavailable':
      return [
        'Without a policy nobody is an administrator: downscope policy apply --store FILE writes the first.',
      ]
    case 'already_exists':
      return ['A new secret for it: downscope credentials rotate NAME --with FILE']
    case 'not_found':
      return path.startsWith('credentials/') ? ['downscope credentials list shows what there is.'] : []
    case '404':
    case '405':
      return ['Is this broker older than the command line? It does not know this request.']
    default:
      return []
  }
}
