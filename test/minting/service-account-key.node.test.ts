import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seconds } from '../../src/domain/time.ts'
import {
  DRIVE,
  failureOf,
  PUBSUB,
  startMintWorld,
  STORAGE_READ,
  type MintWorld,
} from '../support/mint-world.ts'

let world: MintWorld
let file: Awaited<ReturnType<MintWorld['google']['createServiceAccount']>>

beforeEach(async () => {
  world = await startMintWorld()
  file = await world.google.createServiceAccount()
  await world.enrol('reports-sa', file)
  // Old enough that a wrong signature is no teething trouble of a new key.
  world.clock.skip(3600_000)
})
afterEach(async () => {
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const mint = async (scopes: readonly string[], more = {}) =>
  world.mint(await world.grantFor('reports-sa', scopes, more))
const health = async () => (await world.administration.read('reports-sa')).health
const assertionSent = () => String(world.google.calls.all().at(-1)?.params['assertion'])

describe('a token from a service-account key', () => {
  test('P13: asked for with one scope carries that scope only, as Google recorded it', async () => {
    const token = await mint([STORAGE_READ])
    expect(world.google.token(token.secret.reveal())?.scopes).toEqual([STORAGE_READ])
    expect(token.scopes).toEqual([STORAGE_READ])
    const wider = await mint([STORAGE_READ, PUBSUB])
    expect(world.google.token(wider.secret.reveal())?.scopes).toEqual([STORAGE_READ, PUBSUB])
  })

  test('P19: its life counts from before it was asked for', async () => {
    const token = await mint([STORAGE_READ])
    expect(token.issuedAt).toBe(world.clock.now())
    expect(token.expiresAt - token.issuedAt).toBe(3599)
  })

  test('the assertion says exactly what RFC 7523 and Google want', async () => {
    await mint([STORAGE_READ, PUBSUB])
    const assertion = assertionSent()
    expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'RS256', typ: 'JWT', kid: file.private_key_id })
    const now = world.clock.now()
    expect(decodeJwt(assertion)).toEqual({
      iss: file.client_email,
      scope: `${STORAGE_READ} ${PUBSUB}`,
      aud: 'https://oauth2.googleapis.com/token',
      iat: now - 10,
      exp: now - 10 + 3600,
    })
  })

  test('P29: another token_uri and other addresses in the file are never called', async () => {
    const evil = {
      ...file,
      token_uri: `${world.google.origin}/evil`,
      auth_uri: `${world.google.origin}/evil`,
    }
    await world.enrol('evil-sa', evil)
    await world.mint(await world.grantFor('evil-sa', [STORAGE_READ]))
    expect(world.google.calls.all().map(({ path }) => path)).toEqual(['/token'])
    expect(world.book.lines.map(({ fields }) => fields['ignored'])).toContainEqual(['token_uri'])
  })

  test('a key in memory needs no read of the store, for every scope', async () => {
    await mint([STORAGE_READ])
    const before = { ...world.store.counts }
    const grant = await world.grantFor('reports-sa', [PUBSUB])
    await world.mint(grant)
    expect(world.store.counts.get - before.get).toBe(1) // what grantFor reads
    expect(world.store.counts.put).toBe(before.put)
  })

  test('P20: with the store down a key in memory still mints', async () => {
    const grant = await world.grantFor('reports-sa', [STORAGE_READ])
    await world.mint(grant)
    world.store.down = true
    expect((await world.mint(grant)).scopes).toEqual([STORAGE_READ])
    expect((await failureOf(world.createInstance('cold').mint(grant))).code).toBe('store_unavailable')
  })

  test('for a delegated user names the user, and only then', async () => {
    const email = 'dwd@acme.iam.gserviceaccount.com'
    const delegated = await world.google.createServiceAccount({
      email,
      delegatedScopes: { 'ann@acme.example': [DRIVE] },
    })
    await world.enrol('dwd-sa', delegated)
    const token = await world.mint(await world.grantFor('dwd-sa', [DRIVE], { subject: 'ann@acme.example' }))
    expect(world.google.token(token.secret.reveal())).toMatchObject({
      subject: 'ann@acme.example',
      actor: email,
    })
    const refused = await failureOf(
      world.mint(await world.grantFor('dwd-sa', [STORAGE_READ], { subject: 'ann@acme.example' })),
    )
    expect(refused.code).toBe('target_unavailable')
    expect(refused.reason).toContain('Domain-wide delegation')
    expect((await world.administration.read('dwd-sa')).health.status).toBe('healthy')
  })

  test('a grant without scopes asks for nothing', async () => {
    expect((await failureOf(mint([]))).code).toBe('scope_refused')
    expect(world.google.calls.count()).toBe(0)
  })

  test('that lives longer than the grant allows is refused', async () => {
    expect((await failureOf(mint([STORAGE_READ], { lifetime: seconds(900) }))).code).toBe('upstream_nonsense')
    expect((await mint([STORAGE_READ], { lifetime: seconds(3600) })).scopes).toEqual([STORAGE_READ])
  })
})

describe('an ID token', () => {
  const idToken = (audience?: string, more = {}) =>
    mint([], { tokenType: 'id_token', ...(audience === undefined ? {} : { audience }), ...more })

  test('P13: is for the granted audience, has no scope, and ends when it says', async () => {
    const token = await idToken('https://service.example')
    const claims = decodeJwt(token.secret.reveal())
    expect(claims.aud).toBe('https://service.example')
    expect(token).toMatchObject({ tokenType: 'id_token', scopes: [], expiresAt: claims.exp })
    expect(decodeJwt(assertionSent())).not.toHaveProperty('scope')
  })

  test('P13: for another audience, without an audience or with a subject is refused', async () => {
    const other = (await idToken('https://other.example')).secret.reveal()
    world.google.script.token.next(1, { do: 'amend', members: { id_token: other } })
    expect((await failureOf(idToken('https://service.example'))).code).toBe('upstream_nonsense')
    expect((await failureOf(idToken())).code).toBe('target_unavailable')
    expect((await failureOf(idToken('https://service.example', { subject: 'ann@acme.example' }))).code).toBe(
      'target_unavailable',
    )
  })
})

describe('a key that Google refuses', () => {
  test('is broken with the true reason, and nothing of it is deleted (P17)', async () => {
    world.google.disableKey(file.client_email, file.private_key_id)
    const refused = await failureOf(mint([STORAGE_READ]))
    await world.background.settled()
    expect([refused.code, (await health()).status]).toEqual(['target_unavailable', 'broken'])
    expect((await health()).reason).toContain('Invalid JWT Signature')
    world.google.enableKey(file.client_email, file.private_key_id)
    await mint([STORAGE_READ])
    await world.background.settled()
    expect((await health()).status).toBe('healthy')
  })

  test('within a minute of its enrolment is only not known yet', async () => {
    world.google.tune({ keyPropagation: 30 })
    const fresh = await world.google.addKey(file.client_email)
    await world.enrol('fresh-sa', fresh)
    const grant = await world.grantFor('fresh-sa', [STORAGE_READ])
    const early = await failureOf(world.mint(grant))
    expect([early.code, early.retryAfter]).toEqual(['upstream_unavailable', 5])
    world.clock.skip(31_000)
    expect((await world.mint(grant)).scopes).toEqual([STORAGE_READ])
    world.clock.skip(60_000)
    world.google.deleteKey(file.client_email, fresh.private_key_id)
    expect((await failureOf(world.mint(grant))).code).toBe('target_unavailable')
  })

  test('because its account is disabled says so', async () => {
    world.google.disableServiceAccount(file.client_email)
    expect((await failureOf(mint([STORAGE_READ]))).reason).toContain('Robot is disabled')
  })
})
