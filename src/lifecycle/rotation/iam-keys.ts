import { isMembers, type Members } from '../../domain/json-object.ts'
import { Secret } from '../../domain/secret.ts'
import { parseTimestamp, type EpochSeconds } from '../../domain/time.ts'
import type { HttpClient, HttpRequest } from '../../ports/http-client.ts'
import { base64Of, octetsOf, pemBlockOf } from '../pem.ts'
import { judgeIamAnswer, unreadable, type IamResult } from './iam-result.ts'

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
    body?: object,
  ): Promise<IamResult<Members>> => {
    const result = await deps.http({
      method,
      url: `${deps.iamUrl}/v1/projects/-/serviceAccounts/${encodeURIComponent(email)}/keys${rest}`,
      headers: {
        authorization: `Bearer ${token.reveal()}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs,
      maxBytes: answerBytesMax,
    })
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
