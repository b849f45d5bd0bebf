import { exportPKCS8, exportSPKI, generateKeyPair, importPKCS8, importSPKI, jwtVerify } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'

import { createHeldToken } from '../../src/adapters/google-identity/held-token.ts'
import type { IdentitySource } from '../../src/adapters/google-identity/identity-source.ts'
import { createMetadataSource } from '../../src/adapters/google-identity/metadata-identity.ts'
import { createServiceAccountSource } from '../../src/adapters/google-identity/service-account-identity.ts'
import { parseOwnKey, type OwnKey } from '../../src/adapters/google-identity/own-key.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { HttpRequest, HttpResult } from '../../src/ports/http-client.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createEcKeyPem } from '../support/rsa-key.ts'

const scope = 'https://www.googleapis.com/auth/datastore'
const tokenUrl = 'https://oauth2.googleapis.com/token'
const containing = (text: string): unknown => expect.stringContaining(text)
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)
const unavailable = { code: 'store_unavailable' }

let pem: string
let publicPem: string
let key: OwnKey

beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true })
  pem = await exportPKCS8(pair.privateKey)
  publicPem = await exportSPKI(pair.publicKey)
  const reading = parseOwnKey(keyFile())
  if (!reading.ok) throw new Error(reading.fault)
  key = reading.key
})

describe("the broker's key file", () => {
  test("Google's file is read, and its token_uri plays no part (P29)", async () => {
    expect(key).toStrictEqual({
      clientEmail: 'downscope@acme.iam.gserviceaccount.com',
      keyId: 'key1',
      privateKey: new Secret(''),
    })
    expect(key.privateKey.reveal()).toBe(pem)
    await expect(importPKCS8(key.privateKey.reveal(), 'RS256')).resolves.toBeDefined()
  })

  test.each([
    ['', 'is no JSON object'],
    ['/etc/key.json', 'is no JSON object'],
    ['[]', 'is no JSON object'],
    ['{"type":"authorized_user"}', '"type"'],
    [{ client_email: 'nobody' }, '"client_email"'],
    [{ client_email: 7 }, '"client_email"'],
    [{ private_key_id: '' }, '"private_key_id"'],
    [{ private_key: '-----BEGIN RSA PRIVATE KEY-----\nhunter2' }, '"private_key"'],
    [{ private_key: '-----BEGIN PRIVATE KEY-----\\nhunter2' }, '"private_key"'],
    [{ private_key: undefined }, '"private_key"'],
  ])('P23: %j is refused with a reason that repeats nothing of it', (change, fault) => {
    const reading = parseOwnKey(typeof change === 'string' ? change : keyFile(change))

    expect(reading).toMatchObject({ ok: false, fault: containing(fault) })
    expect(JSON.stringify(reading)).not.toMatch(/hunter2|etc\/key/)
  })
})

describe('the identity of a service-account key', () => {
  test('the assertion is signed by the key, for Google, an hour long, for the scopes alone', async () => {
    const { identity, requests, clock } = open()

    expect((await identity()).reveal()).toBe('token-1')

    expect(requests).toHaveLength(1)
    const { url, method, timeoutMs, body = '' } = requests[0] ?? fail()
    expect({ url, method, timeoutMs }).toStrictEqual({ url: tokenUrl, method: 'POST', timeoutMs: 1000 })
    const form = new URLSearchParams(body)
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const { payload, protectedHeader } = await jwtVerify(
      form.get('assertion') ?? '',
      await importSPKI(publicPem, 'RS256'),
      { currentDate: new Date(clock.now() * 1000) },
    )
    expect(protectedHeader).toStrictEqual({ alg: 'RS256', typ: 'JWT', kid: 'key1' })
    expect(payload).toStrictEqual({
      iss: key.clientEmail,
      aud: tokenUrl,
      iat: clock.now() - 10,
      exp: clock.now() + 3590,
      scope,
    })
  })

  test('one token serves until ten minutes before its end', async () => {
    const { identity, requests, clock } = open()
    await identity()

    await clock.advance(2_999_000)
    expect((await identity()).reveal()).toBe('token-1')
    expect(requests).toHaveLength(1)
    await clock.advance(1000)
    expect((await identity()).reveal()).toBe('token-2')
  })

  test('while one call refreshes ahead the others are given the old token at once', async () => {
    const { identity, clock, hold } = open()
    await identity()
    await clock.advance(3_000_000)

    const release = hold()
    const refreshing = identity()
    expect((await identity()).reveal()).toBe('token-1')
    release()

    expect((await refreshing).reveal()).toBe('token-2')
    expect((await identity()).reveal()).toBe('token-2')
  })

  test('P20: a token that is not dead serves while Google cannot be asked, and not after', async () => {
    const { identity, clock, answerWith } = open()
    await identity()
    answerWith(() => failure('timeout'))

    for (const left of [600, 301, 299, 61]) {
      await clock.advance(3_600_000 - left * 1000 - clock.steadyMs())
      expect((await identity()).reveal(), `${left} s left`).toBe('token-1')
    }
    await clock.advance(1000)
    await expect(identity()).rejects.toMatchObject(unavailable)
  })

  test('P19: a wall clock that jumps back does not lengthen a token, and one that jumps ahead asks anew', async () => {
    const { identity, clock } = open()
    await identity()

    clock.jump(-3600)
    await clock.advance(3_000_000)
    expect((await identity()).reveal()).toBe('token-2')
    clock.jump(3600)
    expect((await identity()).reveal()).toBe('token-3')
  })

  test('20 calls at once share one request, and on Workers none waits for another', async () => {
    const shared = open()
    const tokens = await Promise.all(Array.from({ length: 20 }, () => shared.identity()))
    const apart = open({ sharesWork: false })
    await Promise.all(Array.from({ length: 20 }, () => apart.identity()))

    expect(new Set(tokens.map((token) => token.reveal()))).toStrictEqual(new Set(['token-1']))
    expect(shared.requests).toHaveLength(1)
    expect(apart.requests).toHaveLength(20)
    await apart.identity()
    expect(apart.requests).toHaveLength(20)
  })

  test('P21: a failure is remembered for two seconds', async () => {
    const { identity, requests, clock, answerWith } = open()
    answerWith(() => answer({ error: 'invalid_grant' }, 400))
    await expect(identity()).rejects.toMatchObject(unavailable)
    await expect(identity()).rejects.toMatchObject(unavailable)
    expect(requests).toHaveLength(1)

    answerWith(() => answer({ access_token: 'good', token_type: 'Bearer', expires_in: 3599 }))
    await clock.advance(2000)
    expect((await identity()).reveal()).toBe('good')
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
      const { identity, requests, answerWith } = open()
      answerWith(() => trouble)
      await expect(identity()).rejects.toMatchObject(unavailable)
      expect(requests).toHaveLength(times)
    }
  })

  test('a token that Google refuses is replaced, unless it is new', async () => {
    const { identity, clock } = open()
    const first = await identity()

    expect(await identity(first)).toBe(first)
    await clock.advance(10_000)
    expect((await identity(first)).reveal()).toBe('token-2')
    expect((await identity(first)).reveal()).toBe('token-2')
  })

  test("P23: a refusal says whose identity and Google's words, and nothing of what was sent", async () => {
    const { identity, requests, answerWith } = open()
    answerWith(({ body }) =>
      answer({ error: 'invalid_grant', error_description: `Invalid JWT Signature. ${body}` }, 400),
    )

    const error: unknown = await identity().catch((thrown: unknown) => thrown)

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
    const { identity, answerWith } = open()
    answerWith(() => answer(body))

    const error: unknown = await identity().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ ...unavailable, reason: containing(member) })
    expect(String(error)).not.toContain('hunter2')
  })

  test('a key that cannot be imported says so without a word of it', async () => {
    const ec = await createEcKeyPem()
    const { identity, requests } = open({ key: { ...key, privateKey: new Secret(ec) } })

    await expect(identity()).rejects.toMatchObject({
      reason: "the broker's own identity towards Google: the private key key1 cannot be imported",
    })
    expect(requests).toHaveLength(0)
  })
})

describe('the identity of the metadata server', () => {
  test('the token is asked for where the real one answers, for the scopes alone', async () => {
    const { identity, requests } = openMetadata()

    expect((await identity()).reveal()).toBe('token-1')
    expect((await identity()).reveal()).toBe('token-1')

    expect(requests).toHaveLength(1)
    expect(requests[0]).toMatchObject({
      method: 'GET',
      url: `http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`,
      headers: { 'metadata-flavor': 'Google' },
    })
  })

  test('another host is asked when one is named', async () => {
    const { identity, requests } = openMetadata({ host: '127.0.0.1:8090' })
    await identity()

    expect(requests[0]?.url).toMatch(/^http:\/\/127\.0\.0\.1:8090\/computeMetadata\/v1\//)
  })

  test('an answer without the flavour of Google is no token', async () => {
    const { identity, answerWith } = openMetadata()
    answerWith(() => answer({ access_token: 'a', token_type: 'Bearer', expires_in: 3599 }))

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: containing("is not Google's metadata server"),
    })
  })

  test('a token the server has held for long is used, and asked for again in time', async () => {
    const { identity, requests, clock, answerWith } = openMetadata()
    answerWith(() => answer({ access_token: 'old', token_type: 'Bearer', expires_in: 299 }, 200, flavour))

    expect((await identity()).reveal()).toBe('old')
    await clock.advance(140_000)
    expect((await identity()).reveal()).toBe('old')
    expect(requests).toHaveLength(1)
    await clock.advance(20_000)
    await identity()
    expect(requests).toHaveLength(2)
  })

  test.each([403, 404, 500])('a refusal %i says whose identity', async (status) => {
    const { identity, answerWith } = openMetadata()
    answerWith(() => answer('no', status, flavour))

    await expect(identity()).rejects.toMatchObject({
      ...unavailable,
      reason: `the broker's own identity towards Google: Google answered ${status}`,
    })
  })
})

const flavour = { 'metadata-flavor': 'Google' }

function open(change: { readonly sharesWork?: boolean; readonly key?: OwnKey } = {}) {
  const world = createWorld({})
  const source = createServiceAccountSource({ ...world, key, tokenUrl, ...change })
  return { ...world, source, identity: holding(source, world.clock, change.sharesWork) }
}

function openMetadata(change: { readonly host?: string } = {}) {
  const world = createWorld(flavour)
  const source = createMetadataSource({ ...world, ...change })
  return { ...world, source, identity: holding(source, world.clock) }
}

function holding(source: IdentitySource, clock: Clock, sharesWork = true) {
  return createHeldToken({ clock, sharesWork, fetchToken: () => source.accessToken([scope]) })
}

/** A token endpoint that gives `token-1`, `token-2` and so on, an hour each, unless it is told otherwise. */
function createWorld(headers: Readonly<Record<string, string>>) {
  const clock = createFakeClock()
  const requests: HttpRequest[] = []
  let held: Promise<void> | undefined
  let respond: (request: HttpRequest) => HttpResult = () =>
    answer({ access_token: `token-${requests.length}`, token_type: 'Bearer', expires_in: 3600 }, 200, headers)
  const http = async (request: HttpRequest): Promise<HttpResult> => {
    requests.push(request)
    await held
    return respond(request)
  }
  return {
    clock,
    requests,
    http,
    answerWith: (next: (request: HttpRequest) => HttpResult) => (respond = next),
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return resolve
    },
  }
}

function keyFile(change: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    type: 'service_account',
    project_id: 'acme',
    private_key_id: 'key1',
    private_key: pem,
    client_email: 'downscope@acme.iam.gserviceaccount.com',
    token_uri: 'https://elsewhere.example/token',
    ...change,
  })
}

function answer(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): HttpResult {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'answer', status, header: (name) => headers[name], body: text }
}

function failure(cause: 'timeout' | 'network' | 'too_large' | 'redirect'): HttpResult {
  return { kind: 'failure', cause, detail: 'as the test wants it' }
}

function fail(): never {
  throw new Error('a value was expected')
}
