import { base64Of, decodeBase64 } from '../../src/domain/pem.ts'
import { parseJsonObject, type Members } from '../../src/domain/json.ts'
import type { HttpResult } from '../../src/ports/http-client.ts'
import { crc32c } from './google/crc32c.ts'
import { answer, createRoutedHttp, type RoutedHttp } from './routed-http.ts'

export const storeKey = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'
const kmsUrl = 'https://cloudkms.googleapis.com'

export interface FakeKms extends Omit<RoutedHttp, 'route'> {
  readonly cryptoKey: string
  readonly kmsUrl: string
  /** Which version wraps from now on. */
  rotateTo(version: number): void
  /** What is answered instead, once or always; `undefined` is properly again. */
  fail(reply: HttpResult | undefined, times?: number): void
  /** Changes members of proper answers from now on. */
  amend(members: Members): void
  /** Answers by what was sent. */
  echo(reply: (sent: string) => HttpResult): void
}

/** Cloud KMS in this process, for either runtime; the strict one is the stand-in for Google. Its wrapping is no secret. */
export function createFakeKms(cryptoKey = storeKey): FakeKms {
  const { http, requests, route } = createRoutedHttp()
  let primary = 1
  let amendment: Members = {}
  let echoing: ((sent: string) => HttpResult) | undefined
  let failure: { readonly reply: HttpResult; times: number } | undefined

  const serve = (method: 'encrypt' | 'decrypt', reply: (body: Members) => Members | undefined) => {
    route(`${kmsUrl}/v1/${cryptoKey}:${method}`, ({ body, headers }) => {
      if (failure !== undefined && failure.times > 0) {
        failure.times -= 1
        return failure.reply
      }
      if (echoing !== undefined) return echoing(body ?? '')
      if (headers?.['authorization'] !== 'Bearer kms-token') return refuse(401, 'UNAUTHENTICATED')
      const members = reply(parseJsonObject(body ?? '') ?? {})
      return members === undefined ? refuse(400, 'INVALID_ARGUMENT') : answer({ ...members, ...amendment })
    })
  }

  serve('encrypt', (body) => {
    const plaintext = checked(body, 'plaintext')
    const aad = checked(body, 'additionalAuthenticatedData')
    if (plaintext === undefined || aad === undefined) return undefined
    const ciphertext = Uint8Array.of(primary, ...aad, 0, ...plaintext)
    return {
      name: `${cryptoKey}/cryptoKeyVersions/${primary}`,
      ...withSum('ciphertext', ciphertext),
      verifiedPlaintextCrc32c: true,
      verifiedAdditionalAuthenticatedDataCrc32c: true,
    }
  })
  serve('decrypt', (body) => {
    const ciphertext = checked(body, 'ciphertext')
    const aad = checked(body, 'additionalAuthenticatedData')
    if (ciphertext === undefined || aad === undefined) return undefined
    const start = aad.length + 2
    const isOurs = base64Of(ciphertext.slice(1, start)) === base64Of(Uint8Array.of(...aad, 0))
    return isOurs ? withSum('plaintext', ciphertext.slice(start)) : undefined
  })

  return {
    http,
    requests,
    cryptoKey,
    kmsUrl,
    rotateTo: (version) => {
      primary = version
    },
    amend: (members) => {
      amendment = members
    },
    echo: (reply) => {
      echoing = reply
    },
    fail: (reply, times = Number.POSITIVE_INFINITY) => {
      failure = reply === undefined ? undefined : { reply, times }
    },
  }
}

export function refuse(code: number, status: string, message = 'as the test wants it'): HttpResult {
  return answer({ error: { code, status, message } }, code)
}

function checked(body: Members, name: string): Uint8Array | undefined {
  const text = body[name]
  const octets = typeof text === 'string' ? decodeBase64(text) : undefined
  return octets !== undefined && body[`${name}Crc32c`] === String(crc32c(octets)) ? octets : undefined
}

function withSum(name: string, octets: Uint8Array): Members {
  return { [name]: base64Of(octets), [`${name}Crc32c`]: String(crc32c(octets)) }
}
