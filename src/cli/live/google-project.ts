import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import {
  createCachedToken,
  createMetadataSource,
  createServiceAccountSource,
  parseIdentityReply,
  requireAnswer,
  type IdentitySource,
} from '../../adapters/google-identity/own-identity.ts'
import { readGoogleUrls, type GoogleUrls } from '../../config.ts'
import { parseBaseUrl } from '../../config/parse-url.ts'
import { createConfigurationFault } from '../../config/setting-faults.ts'
import type { Environment } from '../../config/setting.ts'
import { cloudPlatformScope } from '../../domain/google.ts'
import { parseJsonObject, type Members } from '../../domain/json.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import type { Secret } from '../../domain/secret.ts'
import {
  createSendBriefly,
  formRequest,
  quoteError,
  quoteGoogleError,
  readGoogleError,
  type AccessToken,
} from '../../google/api-request.ts'
import { parseOwnKey } from '../../google/service-account-key.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { HttpClient, HttpRequest } from '../../ports/http-client.ts'
import { createFault } from '../fault.ts'
import { readTextFile } from '../files.ts'
import type { Journal } from './journal.ts'

/** The project that is tried out, and as whom. */
export interface GoogleProject {
  readonly project: string
  readonly bucket: string
  /** Random, and in the name of all that this run makes. */
  readonly run: string
  readonly urls: LiveUrls
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  readonly operator: Operator
  readonly journal: Journal
}

export interface Operator {
  readonly token: AccessToken
  /** A person's token: then each request names the project that answers for it. */
  readonly isPerson: boolean
}

type LiveUrls = GoogleUrls & { readonly apis: (service: ApiName) => string }
/** Those that the broker itself never asks. */
type ApiName = 'storage' | 'bigquery' | 'compute' | 'firestore'

export interface Reply {
  readonly status: number
  readonly members: Members
  /** OAuth's `error`, or the `status` of Google's other APIs. */
  readonly error: string | undefined
  /** The status, and Google's own words without anything that may be a piece of a token. */
  readonly said: string
}

export interface Question {
  readonly method?: HttpRequest['method']
  readonly json?: object
  /** Default: the operator's. */
  readonly token?: Secret | 'none' | undefined
  /** Made from the operator's, and so answered for by the project too. */
  readonly isOperators?: boolean
  readonly content?: { readonly type: string; readonly body: string }
}

/** One request, once. Throws `notRun` where no answer comes. */
export async function ask(google: GoogleProject, url: string, question: Question = {}): Promise<Reply> {
  const { operator, http, project } = google
  const { method = 'GET', json, content } = question
  const token = question.token ?? (await operator.token())
  const { isOperators = question.token === undefined } = question
  const asPerson = isOperators && operator.isPerson
  const type = content?.type ?? (json === undefined ? undefined : 'application/json')
  const body = content?.body ?? (json === undefined ? undefined : JSON.stringify(json))
  const result = await http({
    method,
    url,
    headers: {
      accept: 'application/json',
      ...(token !== 'none' && { authorization: `Bearer ${token.reveal()}` }),
      ...(asPerson && { 'x-goog-user-project': project }),
      ...omitUndefined({ 'content-type': type }),
    },
    body,
    timeoutMs: 20_000,
    maxBytes: 1024 * 1024,
  })
  if (result.kind === 'failure') throw notRun(`no answer: ${result.detail}`)
  const members = parseJsonObject(result.body) ?? {}
  const { error } = members
  const isOAuth = typeof error === 'string'
  const words = isOAuth ? quoteError(members) : quoteGoogleError(result.body)
  return {
    status: result.status,
    members,
    error: isOAuth ? error : readGoogleError(result.body)?.status,
    said: `${result.status}${words}`,
  }
}

/** A form for an OAuth endpoint, without a token unless one is named. */
export function askForm(
  google: GoogleProject,
  url: string,
  form: Readonly<Record<string, string>>,
  token: Secret | 'none' = 'none',
): Promise<Reply> {
  const body = new URLSearchParams(form).toString()
  return ask(google, url, {
    method: 'POST',
    token,
    content: { type: 'application/x-www-form-urlencoded', body },
  })
}

/** Why something could not be tried out: no word on how Google behaves. */
export function notRun(reason: string): Error {
  return Object.assign(new Error(reason), { name: 'NotRun' })
}

export function isNotRun(error: unknown): error is Error {
  return error instanceof Error && error.name === 'NotRun'
}

/** Asks in growing pauses until there is a value; how long that took, or `undefined` when the time is over. */
export async function poll<T>(
  clock: Clock,
  secondsMax: number,
  attempt: () => Promise<T | undefined>,
): Promise<{ readonly value: T; readonly seconds: number } | undefined> {
  const beganMs = clock.steadyMs()
  for (let pauseMs = 1_000; ; pauseMs = Math.min(pauseMs * 2, 15_000)) {
    const value = await attempt()
    const passedMs = clock.steadyMs() - beganMs
    if (value !== undefined) return { value, seconds: Math.round(passedMs / 1000) }
    if (passedMs + pauseMs > secondsMax * 1000) return undefined
    await clock.sleep(pauseMs)
  }
}

/** Where Google is; GOOGLE_APIS_URL, for tests, is the origin of what the broker itself never asks. */
export function readLiveUrls(env: Environment): LiveUrls {
  const urls = readGoogleUrls(env)
  const setting = 'GOOGLE_APIS_URL'
  const base = env[setting] === undefined ? undefined : parseBaseUrl(env[setting])
  if (base?.ok === false) throw createConfigurationFault(base.faults.map((fault) => ({ setting, fault })))
  return { ...urls, apis: (service) => base?.value ?? `https://${service}.googleapis.com` }
}

const scopes: readonly string[] = [cloudPlatformScope, 'https://www.googleapis.com/auth/userinfo.email']

/**
 * Application Default Credentials: the file in GOOGLE_APPLICATION_CREDENTIALS, else gcloud's, else the metadata server.
 * Throws a fault for a file of another kind.
 */
export async function openOperator(
  env: Environment,
  google: Pick<GoogleProject, 'http' | 'clock' | 'urls'>,
): Promise<Operator> {
  const named = env['GOOGLE_APPLICATION_CREDENTIALS']
  const folder = env['CLOUDSDK_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.config/gcloud')
  const file = named ?? join(folder, 'application_default_credentials.json')
  const source =
    named === undefined && !existsSync(file)
      ? createMetadataSource({ ...google, ...omitUndefined({ host: env['GCE_METADATA_HOST'] }) })
      : sourceIn(await readTextFile(file), google)
  const fetchToken = () => source.accessToken(scopes)
  return {
    token: createCachedToken({ ...google, sharesWork: true, fetchToken }),
    isPerson: 'isPerson' in source,
  }
}

function sourceIn(
  text: string,
  google: Pick<GoogleProject, 'http' | 'clock' | 'urls'>,
): Pick<IdentitySource, 'accessToken'> {
  const { type, client_id: id, client_secret: secret, refresh_token: token } = parseJsonObject(text) ?? {}
  const tokenUrl = google.urls.oauthTokenUrl
  if (type === 'authorized_user') {
    const form = { grant_type: 'refresh_token', client_id: id, client_secret: secret, refresh_token: token }
    const sent = Object.fromEntries(Object.entries(form).map(([name, value]) => [name, String(value)]))
    const isPerson = true
    return Object.assign(
      {
        accessToken: async () =>
          parseIdentityReply(
            requireAnswer(await createSendBriefly(google)(() => formRequest(tokenUrl, sent))),
          ),
      },
      { isPerson },
    )
  }
  const key = parseOwnKey(text)
  if (key.ok) return createServiceAccountSource({ ...google, key: key.value, tokenUrl })
  throw createFault(
    'usage',
    `your Application Default Credentials cannot be used here: the file ${key.fault}`,
    {
      hints: ['gcloud auth application-default login'],
    },
  )
}
