import { inForce, type Blocks } from '../../src/domain/blocks.ts'
import { describe, expect, it } from 'vitest'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createCountRequest } from '../../src/authentication/authenticate.ts'
import type { RateLimit } from '../../src/ports/rate-limit.ts'
import { recordIssuedTokens, createIntrospect } from '../../src/token-cache/issued-tokens.ts'
import { createIssuedTokens } from '../../src/records/tokens.ts'
import { createCredentialWorld, keyCredential } from '../support/credential-world.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createLogBook } from '../support/quiet.ts'
import { createGrant } from '../support/resolve-world.ts'
import { quickDigest } from '../support/sequence.ts'

async function createWorld(more: { readonly limit?: RateLimit; readonly blocks?: Partial<Blocks> } = {}) {
  const world = createCredentialWorld()
  const { clock, credentials, store } = world
  const { log, lines } = createLogBook()
  const issuedTokens = createIssuedTokens({ store })
  const added = await credentials.add(keyCredential)
  const mint = recordIssuedTokens({
    mint: async (grant) => ({
      secret: new Secret('ya29.x'),
      tokenType: grant.tokenType,
      scopes: ['a'],
      drawnFrom: [grant.credential.version],
      issuedAt: clock.now(),
      expiresAt: later(clock.now(), seconds(3600)),
    }),
    issuedTokens,
    sha256: quickDigest,
    log,
  })
  const { blocks, limit } = more
  const countRequest = createCountRequest(limit === undefined ? {} : { total: limit })
  const introspect = createIntrospect({
    issuedTokens,
    blocks: () => inForce({ callers: [], tokens: [], ...blocks }),
    findCredential: credentials.find,
    clock,
    sha256: quickDigest,
    countRequest: () => countRequest('introspection'),
  })
  const credential = { ...createGrant().credential, version: added?.version ?? '' }
  const issue = (change: Partial<Grant> = {}) => mint(createGrant({ credential, ...change }))
  return { ...world, lines, issue, ask: (token = 'ya29.x') => introspect(() => new Secret(token)) }
}

describe('introspection', () => {
  it('a token of ours is active, and speaks for the service account', async () => {
    const { issue, ask, clock } = await createWorld()
    await issue()
    expect(await ask()).toEqual({
      isActive: true,
      username: keyCredential.identity,
      scopes: ['a'],
      issuedAt: clock.now(),
      expiresAt: clock.now() + 3600,
    })
  })

  it('P21: is counted like requests for tokens, and beyond its limit the store is not asked', async () => {
    const keys: string[] = []
    const { issue, ask, store } = await createWorld({
      limit: (key) => {
        keys.push(key)
        return keys.length === 1 ? { admitted: true } : { admitted: false, retryAfter: seconds(7) }
      },
    })
    await issue()
    expect(await ask()).toMatchObject({ isActive: true })
    const before = store.counts.get
    await expect(ask()).rejects.toMatchObject({ code: 'caller_throttled', retryAfter: 7 })
    expect(store.counts.get).toBe(before)
    expect(new Set(keys)).toEqual(new Set(['introspection']))
  })

  it('a token by domain-wide delegation speaks for its user', async () => {
    const { issue, ask } = await createWorld()
    await issue({ subject: 'user@acme.example' })
    expect(await ask()).toMatchObject({ username: 'user@acme.example' })
  })

  it('a token that is not ours is not active', async () => {
    const { issue, ask } = await createWorld()
    await issue()
    expect(await ask('ya29.y')).toEqual({ isActive: false })
  })

  it('an API key is no token, and never active', async () => {
    const { issue, ask } = await createWorld()
    await issue({ tokenType: 'api_key' })
    expect(await ask()).toEqual({ isActive: false })
  })

  it('a token that is over is not active', async () => {
    const { issue, ask, clock } = await createWorld()
    await issue()
    await clock.advance(3_600_000)
    expect(await ask()).toEqual({ isActive: false })
  })

  it('P26: a token of a credential that was disabled or destroyed is not active', async () => {
    const { issue, ask, credentials } = await createWorld()
    await issue()
    await credentials.setState('reports-sa', 'disabled')
    expect(await ask()).toEqual({ isActive: false })
    await credentials.setState('reports-sa', 'enabled')
    expect(await ask()).toMatchObject({ isActive: true })
    await credentials.remove('reports-sa')
    await credentials.add(keyCredential)
    expect(await ask()).toEqual({ isActive: false })
  })

  it('P26: a token that was revoked is not active, and none is while the service is stopped', async () => {
    const clock = createFakeClock()
    const [by, expiresAt] = ['ops/ops', later(clock.now(), seconds(3600))]
    const tokens = [{ digest: quickDigest('ya29.x'), expiresAt, by }]
    for (const blocks of [{ tokens }, { stopped: { by, since: clock.now() } }]) {
      const { issue, ask } = await createWorld({ blocks })
      await issue()
      expect(await ask()).toEqual({ isActive: false })
    }
  })

  it('P23: a dump of the store holds no token', async () => {
    const { issue, store } = await createWorld()
    await issue()
    const stored = await store.list({ prefix: 'issued/', limit: 10 })
    expect(stored).toHaveLength(1)
    expect(JSON.stringify(stored)).not.toContain('ya29')
  })

  it('a token that could not be noted is issued all the same, and the log says so', async () => {
    const { issue, ask, store, lines } = await createWorld()
    store.down = true
    expect((await issue()).secret.reveal()).toBe('ya29.x')
    expect(lines.map(({ message }) => message)).toEqual(['a token was not noted, and cannot be introspected'])
    store.down = false
    expect(await ask()).toEqual({ isActive: false })
  })

  it('P25: a half-written note is named', async () => {
    const { ask, store } = await createWorld()
    await store.put(`issued/${quickDigest('ya29.x')}`, { schema: 1 })
    await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})
