import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseJsonObject } from '../../src/domain/json.ts'
import { createAdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import { createCredentialWorld } from '../support/credential-world.ts'
import { failureOf } from '../support/failure-of.ts'
import { createLogBook } from '../support/quiet.ts'
import { finderOf } from '../support/upstreams.ts'

const endpoint = { token_endpoint: 'https://login.crm.example/token' }
const upstreams = [
  { ...endpoint, name: 'post', client_auth: 'client_secret_post' },
  { ...endpoint, name: 'signed', client_auth: 'private_key_jwt' },
  { ...endpoint, name: 'open', client_auth: 'none' },
]
const refresh = { type: 'oauth_refresh_token', client_id: 'app', refresh_token: 'rt-very-secret' }
const robot = { type: 'oauth_client_credentials', client_id: 'app' }
const secret = { client_secret: 'cs-very-secret' }

let ec: Awaited<ReturnType<typeof createKey>>
let rsa: Awaited<ReturnType<typeof createKey>>
let world: ReturnType<typeof createWorld>

async function createKey(alg: string) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { pem: await exportPKCS8(privateKey), jwk: await exportJWK(privateKey) }
}

function createWorld() {
  const { credentials, clock } = createCredentialWorld()
  const { log } = createLogBook()
  const administration = createAdministerCredentials({
    credentials,
    findUpstream: finderOf(...upstreams),
    log,
    clock,
  })
  return { credentials, ...administration }
}

beforeAll(async () => {
  ec = await createKey('ES256')
  rsa = await createKey('RS256')
})
beforeEach(() => {
  world = createWorld()
})

const enrol = (upstream: string, file: object, scopes?: unknown) =>
  world.enrol({ name: 'shop', upstream, secret: file, ...(scopes === undefined ? {} : { scopes }) })

async function kept() {
  const { version } = await world.read('shop')
  return (await world.credentials.openSecret('shop', version)).secret
}

async function faultOf(upstream: string, file: object, scopes: unknown = ['read']) {
  const failure = await failureOf(enrol(upstream, file, scopes))
  expect(failure.code).toBe('document_invalid')
  for (const hidden of ['rt-very-secret', 'cs-very-secret', String(ec.jwk.d), ec.pem.split('\n')[1] ?? ''])
    expect(failure.publicDetail).not.toContain(hidden)
  return failure.publicDetail
}

describe('enrolling for an upstream of the policy', () => {
  test('a refresh token is kept with its client and what was consented', async () => {
    expect(await enrol('post', { ...refresh, ...secret }, 'read write')).toMatchObject({
      kind: 'refresh_token',
      upstream: 'post',
      identity: 'app',
      consentedScopes: ['read', 'write'],
    })
    const held = await kept()
    if (held.kind !== 'refresh_token' || held.client.proof !== 'secret') throw new Error('something else')
    expect([held.client.id, held.client.secret.reveal(), held.refreshToken.reveal()]).toEqual([
      'app',
      'cs-very-secret',
      'rt-very-secret',
    ])
  })

  test('a client that asks for itself may be limited to scopes, and need not be', async () => {
    expect(await enrol('post', { ...robot, ...secret })).not.toHaveProperty('consentedScopes')
    await world.destroy('shop')
    expect((await enrol('post', { ...robot, ...secret }, ['read'])).consentedScopes).toEqual(['read'])
    expect((await kept()).kind).toBe('client_credentials')
  })

  test('a public client is kept without any proof', async () => {
    await enrol('open', refresh, ['read'])
    expect(await kept()).toMatchObject({ client: { id: 'app', proof: 'none' } })
  })

  test('P29: the place it was enrolled for is kept with the secret', async () => {
    await enrol('post', { ...robot, ...secret })
    expect(await kept()).toMatchObject({ client: { origin: 'https://login.crm.example' } })
  })

  test.each([
    ['PKCS#8, ES256', () => ({ private_key: ec.pem, alg: 'ES256', kid: 'k1' })],
    ['PKCS#8, PS256', () => ({ private_key: rsa.pem, alg: 'PS256', kid: 'k1' })],
    ['a JWK with alg and kid inside', () => ({ private_key: { ...ec.jwk, alg: 'ES256', kid: 'k1' } })],
    ['a JWK as text', () => ({ private_key: JSON.stringify({ ...ec.jwk, alg: 'ES256', kid: 'k1' }) })],
    ['an RSA JWK', () => ({ private_key: rsa.jwk, alg: 'RS256', kid: 'k1' })],
  ])('a signing client is kept with its key: %s', async (_, key) => {
    expect(await enrol('signed', { ...robot, ...key() })).toMatchObject({ identity: 'app', keyId: 'k1' })
    expect(await kept()).toMatchObject({ client: { id: 'app', proof: 'key', keyId: 'k1' } })
  })

  test('only what makes up the key is kept of a JWK', async () => {
    await enrol('signed', { ...robot, private_key: { ...ec.jwk, alg: 'ES256', note: 'ours' } })
    const held = await kept()
    if (held.kind !== 'client_credentials' || held.client.proof !== 'key') throw new Error('something else')
    expect(Object.keys(parseJsonObject(held.client.privateKey.reveal()) ?? {})).toEqual([
      'kty',
      'crv',
      'x',
      'y',
      'd',
    ])
  })
})

describe('P23: what is wrong is told member by member, and never quoted', () => {
  test.each([
    ['crm', { ...refresh, ...secret }, 'upstream: must be "google" or the name of an upstream'],
    ['google', { ...refresh, ...secret }, 'upstream: must name the upstream'],
    [
      'post',
      { ...refresh, ...secret, type: 'authorized_user' },
      'secret.type: must be "oauth_refresh_token"',
    ],
    ['post', refresh, 'secret.client_secret: is missing'],
    ['post', { ...secret, type: 'oauth_refresh_token' }, 'secret.client_id: is missing'],
    ['post', { ...robot, ...secret, refresh_token: 'rt-very-secret' }, 'may have the members'],
    ['post', { ...refresh, ...secret, alg: 'ES256' }, 'secret.alg: upstream post has client_auth'],
    ['post', { ...refresh, ...secret, token_uri: 'https://evil.example' }, 'may have the members'],
    ['open', { ...refresh, ...secret }, 'secret.client_secret: upstream open has client_auth none'],
    ['signed', { ...robot, ...secret }, 'secret.private_key: is missing'],
  ])('%s: %j', async (upstream, file, fault) => {
    expect(await faultOf(upstream, file)).toContain(fault)
  })

  test.each([
    ['no alg', () => ({ private_key: ec.pem }), 'secret.alg: is missing'],
    ['a symmetric alg', () => ({ private_key: ec.pem, alg: 'HS256' }), 'secret.alg: must be one of'],
    ['an alg of another key', () => ({ private_key: ec.pem, alg: 'RS256' }), 'secret.private_key:'],
    ['an alg of another curve', () => ({ private_key: ec.jwk, alg: 'ES384' }), 'secret.private_key:'],
    [
      'a public JWK',
      () => ({ private_key: { ...ec.jwk, d: undefined }, alg: 'ES256' }),
      'must have the members',
    ],
    ['a symmetric JWK', () => ({ private_key: { kty: 'oct', k: 'c2VjcmV0' }, alg: 'ES256' }), '"kty"'],
    ['half a key', () => ({ private_key: ec.pem.slice(0, 100), alg: 'ES256' }), 'is cut off'],
    ['SEC1', () => ({ private_key: ec.pem.replaceAll('PRIVATE', 'EC PRIVATE'), alg: 'ES256' }), 'SEC1'],
    [
      'a damaged RSA JWK',
      () => ({ private_key: { ...rsa.jwk, qi: rsa.jwk.dq }, alg: 'RS256' }),
      'secret.private_key:',
    ],
    [
      'a client secret beside its key',
      () => ({ private_key: ec.pem, alg: 'ES256', ...secret }),
      'secret.client_secret: upstream signed has client_auth private_key_jwt',
    ],
    ['a kid with spaces', () => ({ private_key: ec.pem, alg: 'ES256', kid: 'a b' }), 'secret.kid:'],
  ])('a signing client with %s', async (_, key, fault) => {
    expect(await faultOf('signed', { ...robot, ...key() })).toContain(fault)
  })

  test('a refresh token without what was consented, and every fault at once', async () => {
    expect(await faultOf('post', { type: 'oauth_refresh_token' }, [])).toBe(
      'secret.refresh_token: is missing; scopes: must name at least one scope; secret.client_id: is missing; secret.client_secret: is missing',
    )
  })
})
