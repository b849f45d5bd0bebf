import { isMembers, type Members, parseJsonObject } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { parseTimestamp, type EpochSeconds } from '../domain/time.ts'
import type { HttpClient, HttpRequest, HttpAnswer, HttpResult } from '../ports/http-client.ts'
import { base64Of, octetsOf, pemBlockOf } from '../domain/pem.ts'
import { jsonRequest, readGoogleError } from './api-request.ts'
import { quoteUpstream } from '../oauth/upstream-failure.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** With the exchange for a token before it a step stays within its lease of 10 s. */
const timeoutMs = 4_000
/** A list of keys has some kilobytes. */
const answerBytesMax = 256 * 1024

/** One user-managed key of a service account, as the upstream has it. */
export interface IamKey {
  readonly id: string
  /** Whether its public half was uploaded; else Google made it. */
  readonly isUploaded: boolean
  readonly isDisabled: boolean
  readonly validAfter: EpochSeconds
}

export interface CreatedKey {
  readonly id: string
  /** The key file, base64 as it came. */
  readonly file: Secret
}

/** Whose keys, and in whose name. */
export interface IamAccount {
  readonly email: string
  readonly token: Secret
}

/** The keys of service accounts, by the IAM API (docs/google.md §3.2). Nothing is asked twice here. */
export interface IamKeys {
  readonly list: (account: IamAccount) => Promise<IamResult<readonly IamKey[]>>
  /** The certificate of an uploaded key, base64 of DER. */
  readonly certificateOf: (account: IamAccount, keyId: string) => Promise<IamResult<string>>
  /** The id of the key whose certificate, base64 of DER, was uploaded. */
  readonly upload: (account: IamAccount, certificate: string) => Promise<IamResult<string>>
  readonly create: (account: IamAccount) => Promise<IamResult<CreatedKey>>
  /** A key that is gone counts as disabled and as deleted. */
  readonly disable: (account: IamAccount, keyId: string) => Promise<IamResult<undefined>>
  readonly remove: (account: IamAccount, keyId: string) => Promise<IamResult<undefined>>
}

export function createIamKeys(deps: { readonly http: HttpClient; readonly iamUrl: string }): IamKeys {
  const ask = async (
    { email, token }: IamAccount,
    method: HttpRequest['method'],
    rest: string,
    json?: object,
  ): Promise<IamResult<Members>> => {
    const url = `${deps.iamUrl}/v1/projects/-/serviceAccounts/${encodeURIComponent(email)}/keys${rest}`
    const request = jsonRequest({ url, token, method, json })
    const result = await deps.http({ ...request, timeoutMs, maxBytes: answerBytesMax })
    return judgeIamAnswer(result)
  }

  return {
    list: async (account) => read(await ask(account, 'GET', '?keyTypes=USER_MANAGED'), keysIn),
    certificateOf: async (account, keyId) =>
      read(await ask(account, 'GET', `/${keyId}?publicKeyType=TYPE_X509_PEM_FILE`), certificateIn),
    upload: async (account, certificate) => {
      const pem = pemBlockOf('CERTIFICATE', octetsOf(certificate) ?? new Uint8Array())
      return read(await ask(account, 'POST', ':upload', { publicKeyData: btoa(pem) }), ({ name }) =>
        keyIdIn(name),
      )
    },
    create: async (account) => read(await ask(account, 'POST', '', newKey), createdIn),
    disable: async (account, keyId) => unlessGone(await ask(account, 'POST', `/${keyId}:disable`, {})),
    remove: async (account, keyId) => unlessGone(await ask(account, 'DELETE', `/${keyId}`)),
  }
}

const newKey = { privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE', keyAlgorithm: 'KEY_ALG_RSA_2048' } as const

function read<T>(answer: IamResult<Members>, take: (members: Members) => T | undefined): IamResult<T> {
  if (!answer.ok) return answer
  const value = take(answer.value)
  return value === undefined ? unreadable : { ok: true, value }
}

function unlessGone(answer: IamResult<Members>): IamResult<undefined> {
  return answer.ok || answer.kind === 'gone' ? { ok: true, value: undefined } : answer
}

/** Without a key there is no member `keys` at all. */
function keysIn({ keys = [] }: Members): readonly IamKey[] | undefined {
  if (!Array.isArray(keys)) return undefined
  const parsed = keys.filter((key) => isMembers(key)).map(keyIn)
  return parsed.every((key) => key !== undefined) && parsed.length === keys.length ? parsed : undefined
}

function keyIn(key: Members): IamKey | undefined {
  const id = keyIdIn(key['name'])
  const validAfter = parseTimestamp(key['validAfterTime'])
  if (id === undefined || validAfter === undefined) return undefined
  return {
    id,
    isUploaded: key['keyOrigin'] === 'USER_PROVIDED',
    isDisabled: key['disabled'] === true,
    validAfter,
  }
}

/** projects/P/serviceAccounts/E/keys/ID; the id goes into addresses, so nothing else is taken for one. */
function keyIdIn(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined
  return /^projects\/[^/]+\/serviceAccounts\/[^/]+\/keys\/(?<id>[\w-]{1,128})$/.exec(name)?.groups?.['id']
}

function certificateIn({ publicKeyData }: Members): string | undefined {
  const pem = typeof publicKeyData === 'string' ? octetsOf(publicKeyData) : undefined
  const der = pem === undefined ? undefined : octetsOf(new TextDecoder().decode(pem))
  return der === undefined ? undefined : base64Of(der)
}

function createdIn({ name, privateKeyData }: Members): CreatedKey | undefined {
  const id = keyIdIn(name)
  if (id === undefined || typeof privateKeyData !== 'string') return undefined
  return { id, file: new Secret(privateKeyData) }
}

export type IamResult<T> = { readonly ok: true; readonly value: T } | IamFailure

export interface IamFailure {
  readonly ok: false
  /**
   * `gone`: there is no such key, or no such account. `forbidden`: an organisation policy is against it. `refused`: it was not done, for
   * another reason. `unknown`: it may have been done.
   */
  readonly kind: 'gone' | 'forbidden' | 'refused' | 'unknown'
  /** For people; never a secret. */
  readonly reason: string
}

/** A 200 that is not what was asked for; what was asked may have been done. */
const unreadable: IamFailure = {
  ok: false,
  kind: 'unknown',
  reason: 'the IAM API gave an answer that cannot be read',
}

/** The members of a 200, or what a failure means and what may be done about it. */
export function judgeIamAnswer(result: HttpResult): IamResult<Members> {
  if (result.kind === 'failure')
    return fail('unknown', `no answer from the IAM API (${result.cause}): ${result.detail}`)
  if (result.status === 200) {
    const members = parseJsonObject(result.body)
    return members === undefined ? unreadable : { ok: true, value: members }
  }
  return judgeError(result)
}

function judgeError(answer: HttpAnswer): IamFailure {
  const error = errorIn(answer)
  const said = `the IAM API answered ${answer.status}${error === undefined ? '' : ` ${error.text}`}`
  if (answer.status >= 500) return fail('unknown', said)
  if (answer.status === 404) return fail('gone', `${said}: is the service account deleted?`)
  if (error?.constraint !== undefined) return fail('forbidden', `${said} (${error.constraint})`)
  return fail('refused', `${said}${hints.get(answer.status) ?? ''}`)
}

const hints: ReadonlyMap<number, string> = new Map([
  [401, ": the credential's own token is not accepted"],
  [
    403,
    ': whoever rotates needs roles/iam.serviceAccountKeyAdmin on the service account, and the IAM API enabled',
  ],
  [429, ': too many requests'],
])

interface IamError {
  /** As it may stand in a log. */
  readonly text: string
  /** The organisation policy that is violated. */
  readonly constraint?: string
}

function errorIn({ body }: HttpAnswer): IamError | undefined {
  const error = readGoogleError(body)
  if (error === undefined) return undefined
  const parts = [error.status, error.message].filter((part) => part !== undefined)
  const text = quoteUpstream(parts.join(', '), [])
  const constraint =
    error.constraint ?? (/key \w+ is not allowed/i.test(text) ? 'organisation policy' : undefined)
  return { text, ...omitUndefined({ constraint }) }
}

function fail(kind: IamFailure['kind'], reason: string): IamFailure {
  return { ok: false, kind, reason }
}
