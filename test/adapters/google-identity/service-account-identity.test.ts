import { exportPKCS8, generateKeyPair, jwtVerify, type CryptoKey } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { createServiceAccountSource } from '../../../src/adapters/google-identity/own-identity.ts'
import type { ServiceAccountKey } from '../../../src/google/service-account-key.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { answer, createRoutedHttp, failure, type Route } from '../../support/routed-http.ts'
import { createEcKeyPem } from '../../support/rsa-key.ts'

const scope = 'https://www.googleapis.com/auth/datastore'
const tokenUrl = 'https://oauth2.googleapis.com/token'
const containing = (text: string): unknown => expect.stringContaining(text)
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)
const unavailable = { code: 'store_unavailable' }

let publicKey: CryptoKey
let key: ServiceAccountKey

beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true })
  publicKey = pair.publicKey
  key = {
    clientEmail: 'downscope@acme.iam.gserviceaccount.com',
    keyId: 'key1',
    privateKey: new Secret(await exportPKCS8(pair.privateKey)),
  }
})

describe('the identity of a service-account key', () => {
  test('the assertion is signed by the key, for Google, an hour long, for the scopes alone', async () => {
    const { accessToken, requests, clock } = open()

    expect((await accessToken()).token.reveal()).toBe('token-1')

    expect(requests).toHaveLength(1)
    const { url, method, timeoutMs, body = '' } = requests[0] ?? fail()
    expect({ url, method, timeoutMs }).toStrictEqual({ url: tokenUrl, method: 'POST', timeoutMs: 1000 })
    const form = new URLSearchParams(body)
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', publicKey, {
      currentDate: new Date(clock.now() * 1000),
    })
    expect(protectedHeader).toStrictEqual({ alg: 'RS256', typ: 'JWT', kid: 'key1' })
    expect(payload).toStrictEqual({
      iss: key.clientEmail,
      aud: tokenUrl,
      iat: clock.now() - 10,
      exp: clock.now() + 3590,
      scope,
    })
  })

  test('passing trouble is asked again once, and no other', async () => {
    for (const [trouble, times] of [
      [failure('network'), 2],
      [failure('timeout'), 2],
      [answer('', 503), 2],
      [failure('redirect'), 1],
      [failure('too_large'), 1],
      [answer({ error: 'invalid_grant' }, 400), 1],
      [answer('', 429), 1],
    ] as const) {
      const { accessToken, requests, answerWith } = open()
      answerWith(() => trouble)
      await expect(accessToken()).rejects.toMatchObject(unavailable)
      expect(requests).toHaveLength(times)
    }
  })

  test("P23: a refusal says whose identity and Google's words, and nothing of what was sent", async () => {
    const { accessToken, requests, answerWith } = open()
    answerWith(({ body }) =>
      answer({ error: 'invalid_grant', error_description: `Invalid JWT Signature. ${body}` }, 400),
    )

    const error: unknown = await accessToken().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({
      ...unavailable,
      retryAfter: 2,
      reason: matching(
        /^the broker's own identity towards Google: Google answered 400 \(invalid_grant: Invalid JWT Signature\./,
      ),
    })
    const assertion = new URLSearchParams(requests[0]?.body).get('assertion') ?? fail()
    for (const part of assertion.split('.')) expect(String(error)).not.toContain(part.slice(0, 24))
  })

  test.each([
    [{ token_type: 'Bearer', expires_in: 3599 }, 'access_token'],
    [{ access_token: 'a b', token_type: 'Bearer', expires_in: 3599 }, 'access_token'],
    [{ access_token: 'hunter2', token_type: 'mac', expires_in: 3599 }, 'token_type'],
    [{ access_token: 'hunter2', token_type: 'Bearer' }, 'expires_in'],
    [{ access_token: 'hunter2', token_type: 'Bearer', expires_in: '3599' }, 'expires_in'],
    [{ access_token: 'hunter2', token_type: 'Bearer', expires_in: 1e9 }, 'expires_in'],
    ['hunter2', 'access_token'],
  ])('a reply %j is refused by the name of its member', async (body, member) => {
    const { accessToken, answerWith } = open()
    answerWith(() => answer(body))

    const error: unknown = await accessToken().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ ...unavailable, reason: containing(member) })
    expect(String(error)).not.toContain('hunter2')
  })

  test('a key that cannot be imported says so without a word of it', async () => {
    const ec = await createEcKeyPem()
    const { accessToken, requests } = open({ key: { ...key, privateKey: new Secret(ec) } })

    await expect(accessToken()).rejects.toMatchObject({
      reason: "the broker's own identity towards Google: the private key key1 cannot be imported",
    })
    expect(requests).toHaveLength(0)
  })
})

/** A token endpoint that gives a token for an hour, unless it is told otherwise. */
function open(change: { readonly key?: ServiceAccountKey } = {}) {
  const clock = createFakeClock()
  const { http, requests, route } = createRoutedHttp()
  route(tokenUrl, () => answer({ access_token: 'token-1', token_type: 'Bearer', expires_in: 3600 }))
  const source = createServiceAccountSource({ http, clock, key, tokenUrl, ...change })
  return {
    clock,
    requests,
    answerWith: (answering: Route) => route(tokenUrl, answering),
    accessToken: () => source.accessToken([scope]),
  }
}

function fail(): never {
  throw new Error('a value was expected')
}
