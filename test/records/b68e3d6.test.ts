import { beforeEach, describe, expect, test } from 'vitest'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { createKmsRingKeys } from '../../src/adapters/key-ring/kms-ring-keys.ts'
import { createLocalRingKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import type { CredentialSecret } from '../../src/domain/credential.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { Document, Stored } from '../../src/ports/document-store.ts'
import { createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createBlocks } from '../../src/records/blocks.ts'
import { credentialDocumentOf, parseCredentialRecord } from '../../src/records/credential-codec.ts'
import { createCredentials } from '../../src/records/credentials.ts'
import {
  createIssuedTokens,
  createTokens,
  parseTokenRecord,
  tokenDocumentOf,
  type TokenKey,
} from '../../src/records/tokens.ts'
import { createMaintenanceProgress } from '../../src/records/maintenance-progress.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createRefreshLeases } from '../../src/records/refresh-leases.ts'
import { createRefusals } from '../../src/records/refusals.ts'
import { createReplays } from '../../src/records/replays.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { createRuleUses } from '../../src/records/rule-uses.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeKms } from '../support/fake-kms.ts'
import { createSequence, webSha256 } from '../support/sequence.ts'
import fixture from './b68e3d6/documents.json' with { type: 'json' }

/** The clock of the instance that wrote the documents, when it had written the last one. */
const writtenAt = epochSeconds(fixture.written_at)
const names = fixture.documents.flatMap(({ key }) =>
  key.startsWith('credentials/') ? [key.slice('credentials/'.length)] : [],
)

describe('documents written by b68e3d6', () => {
  let world: Awaited<ReturnType<typeof createWorld>>
  beforeEach(async () => {
    world = await createWorld()
  })

  test('are of every collection and kind', async () => {
    const collections = new Set(fixture.documents.map(({ key }) => key.split('/')[0]))
    expect(collections.size).toBe(10)
    const listed = await world.credentials.list({ limit: 100 })

    expect(new Set(listed.map(({ kind }) => kind))).toEqual(
      new Set([
        'service_account_key',
        'refresh_token',
        'client_credentials',
        'impersonation',
        'broker_identity',
        'api_key',
      ]),
    )
    expect(new Set(listed.flatMap(({ versions }) => versions.map(({ state }) => state)))).toEqual(
      new Set(['candidate', 'active', 'retiring', 'disabled', 'destroyed']),
    )
  })

  test('credentials: each is listed and found', async () => {
    const listed = await world.credentials.list({ limit: 100 })
    const found = await Promise.all(names.map((name) => world.credentials.find(name)))

    expect(names).toHaveLength(18)
    expect(listed.map(({ name }) => name)).toEqual(names)
    expect(found).toEqual(listed)
    expect(world.malformed).toEqual([])
  })

  test.each(names)('credential %s: what is read is written the same', (name) => {
    const stored = storedAt(`credentials/${name}`)

    expect(credentialDocumentOf(parseCredentialRecord(stored))).toEqual(stored.value)
  })

  test.each(Object.entries(fixture.secrets).filter(([place]) => place.startsWith('credentials/')))(
    'the secret at %s opens and is the one that was sealed',
    async (place, text) => {
      const [name = '', version = ''] = place.slice('credentials/'.length).split('#')
      const isOn = (await world.credentials.find(name))?.state === 'enabled'
      const open = isOn
        ? async () => (await world.credentials.openSecret(name, version)).secret
        : () => world.credentials.openWithdrawn(name, version)
      if (world.isDestroyed(name, version)) return expect(open()).rejects.toThrow('target_unavailable')

      return expect(revealed(await open())).toEqual(JSON.parse(text))
    },
  )

  test('credentials: a refresh token is leased, rotated and read again', async () => {
    const { leases, credentials } = world
    const before = await credentials.find('refresh')
    const lease = await leases.begin({ name: 'refresh', version: before?.version ?? '' })
    if (!lease.held) throw new Error('the lease is held')

    expect(lease.consentedScopes).toEqual(['a', 'b'])
    expect(await leases.end(lease, { rotated: new Secret('the next one') })).toBe('ended')
    const { secret, generation } = await credentials.openSecret('refresh', lease.version)
    expect(revealed(secret)).toMatchObject({ refreshToken: 'the next one' })
    expect(generation).toBe(2)
  })

  test('credentials: the lease and the intent of a crashed holder are respected, and then taken over', async () => {
    const { leases, credentials, clock } = world
    const version = (await credentials.find('interrupted'))?.version ?? ''
    const look = () => leases.begin({ name: 'interrupted', version })

    expect(await look()).toMatchObject({ held: false })
    let lease = await look()
    for (let second = 0; !lease.held && second < 12; second += 1) {
      await clock.advance(1000)
      lease = await look()
    }
    expect(lease).toMatchObject({ held: true, interruptedAt: expect.any(Number) as unknown })
  })

  test('credentials: a rotation goes on where it was', async () => {
    const { rotations, clock } = world
    expect((await rotations.claim('rotating-new'))?.rotation).toMatchObject({ step: 'count', proofs: 0 })
    expect(await rotations.claim('rotating-upload')).toBeUndefined()
    await clock.advance(20_000)

    const turn = await rotations.claim('rotating-upload')
    expect(turn?.rotation).toMatchObject({
      method: 'upload',
      step: 'upload',
      failures: 2,
      reason: 'Google answered 503',
      knownKeys: ['key-1', 'key-0'],
      certificate: 'MIIB',
      withdrawsFormer: true,
    })
    if (turn === undefined) throw new Error('nothing is due')
    expect(await rotations.settle(turn, (record) => record)).toBe('settled')
    expect((await rotations.claim('rotating-import'))?.rotation).toMatchObject({
      method: 'import',
      step: 'prove',
      isWithdrawalAsked: true,
      consentedScopes: ['a'],
    })
    expect((await rotations.claim('rotating-abort'))?.rotation.step).toBe('abort')
  })

  test('credentials: options, states and revocations change on', async () => {
    const { credentials } = world
    expect(await credentials.setState('disabled', 'enabled')).toMatchObject({ state: 'enabled' })
    expect(await credentials.changeOptions('key', () => ({ rotateAfterDays: 30 }))).toMatchObject({
      rotateAfterDays: 30,
      health: { status: 'healthy' },
    })
    expect(await credentials.find('revoked')).toMatchObject({
      state: 'revoked',
      revocation: { upstream: 'not_possible', detail: 'delete its keys' },
    })
    expect(await credentials.remove('refresh-public')).toBe(true)
  })

  test('tokens: each is read, opened and written the same; leases are held and taken over', async () => {
    const { tokens, clock } = world
    const keys = fixture.documents.flatMap(({ key }) => (isTokenKey(key) ? [key] : []))
    expect(keys).toHaveLength(3)
    for (const key of keys) {
      const stored = storedAt(key)
      expect(tokenDocumentOf(parseTokenRecord(stored))).toEqual(stored.value)
      const found = await tokens.find(key)
      expect(found.token?.secret.reveal()).toBe(new Map(Object.entries(fixture.secrets)).get(`${key}#token`))
      const isHeld = found.record?.lease !== undefined
      expect((await tokens.claim(found)) === undefined).toBe(isHeld)
    }
    expect(world.log).toEqual([])
    await clock.advance(15_000)
    for (const key of keys) expect(await tokens.claim(await tokens.find(key))).toBeDefined()
  })

  test('issued tokens, refusals and used assertions are known', async () => {
    const { store } = world
    const issued = createIssuedTokens({ store })
    expect(await issued.find(await webSha256('access'))).toEqual({
      credential: 'key',
      tokenType: 'access_token',
      drawnFrom: ['version-1'],
      subject: 'user@acme.example',
      scopes: ['a', 'b'],
      issuedAt: writtenAt,
      expiresAt: writtenAt + 3600,
    })
    expect(await issued.find(await webSha256('id'))).toMatchObject({ tokenType: 'id_token', scopes: [] })

    const refusals = createRefusals({ store })
    expect(await refusals.find('00000000-0000-4000-8000-0000000000aa')).toMatchObject({
      error: 'scope_refused',
      condition: 'scopes',
      question: {
        claims: { sub: 'caller', groups: ['a', 'b'], nested: { n: 1, t: true, z: null } },
        lifetime: 600,
        boundary: [{ availabilityCondition: { title: 'a' } }],
      },
    })
    expect(await refusals.find('00000000-0000-4000-8000-0000000000bb')).toMatchObject({
      question: { tokenType: 'id_token', resource: 'https://app.example/' },
    })

    const replays = createReplays({ store, sha256: webSha256 })
    const use = { issuer: 'https://issuer.example', until: epochSeconds(writtenAt + 300) }
    expect(await replays.rememberOnce({ ...use, jti: 'jti-1' })).toBe(false)
    expect(await replays.rememberOnce({ ...use, jti: 'jti-2' })).toBe(true)
  })

  test('the policy in force is read and replaced', async () => {
    const { store, clock, entropy } = world
    const policies = createPolicies({ store, clock, newId: entropy.uuid })
    const inForce = await policies.read()

    expect(inForce).toMatchObject({ origin: 'store version 2' })
    await policies.apply({ text: 'version: 1\n', expected: inForce?.revision, by: 'test' })
    expect(await policies.read()).toMatchObject({ origin: 'store version 3', text: 'version: 1\n' })
  })

  test('blocks are in force, written the same, and lifted', async () => {
    const { store, clock, entropy } = world
    const blocks = createBlocks({ store, clock, entropy })
    const by = { by: 'https://issuer.example/admin', since: writtenAt }
    expect(await blocks.read()).toEqual({
      stopped: by,
      callers: [{ issuer: 'https://issuer.example', subject: 'blocked', ...by }],
      tokens: [
        {
          digest: await webSha256('access'),
          expiresAt: writtenAt + 3600,
          by: 'https://issuer.example/caller',
        },
      ],
    })
    const { stopped: _, ...running } = await storedBlocks()
    await blocks.resume()
    expect(await storedBlocks()).toEqual(running)
    expect(await blocks.unblock({ issuer: 'https://issuer.example', subject: 'blocked' })).toBe(true)

    async function storedBlocks(): Promise<Document> {
      return (await store.get('blocks/current'))?.value ?? {}
    }
  })

  test('maintenance goes on where it was, and the day of a use is continued', async () => {
    const { store, clock, entropy } = world
    expect(await createMaintenanceProgress({ store }).read()).toBe('key')

    const uses = createRuleUses({ store, clock, entropy, sha256: webSha256, log: () => undefined })
    const [before] = await store.list({ prefix: 'usage/', limit: 2 })
    await uses.note(
      { rule: 'reports', credential: 'key', tokenType: 'access_token', scopes: ['a'], resources: ['r'] },
      writtenAt,
    )
    const [after] = await store.list({ prefix: 'usage/', limit: 2 })
    expect(after?.value).toEqual({
      ...before?.value,
      resources: ['//storage.googleapis.com/projects/_/buckets/b', 'r'],
    })
    expect(await uses.since(writtenAt, [])).toMatchObject([
      {
        rule: 'reports',
        scopes: ['a'],
        subjects: ['user@acme.example'],
        audiences: ['https://app.example/'],
      },
    ])
  })

  test('an audit record of the same decision has the same members', async () => {
    const store = createMemoryStore({ clock: world.clock })
    // The fixture holds it as JSON, where units and closed sets are plain numbers and strings.
    const record = fixture.audit_record as unknown as AuditRecord
    await createStoredAuditTrail({
      store,
      clock: world.clock,
      background: { runsAfterAnswer: true, run: (work) => void work() },
      newId: createSequence().uuid,
      keepDays: 30,
      membersOf: auditMembers,
      sharesWork: true,
    })(record)
    const [written] = await store.list({ prefix: 'audit/', limit: 1 })

    // The number of the record within its instance came later.
    const formerKey = written?.key.replace('-000000001-', '-') ?? ''
    expect(written?.value).toMatchObject(storedAt(formerKey).value)
  })

  test('a secret does not open at another place, nor under another key', async () => {
    const { store, credentials } = world
    const version = (await credentials.find('key'))?.version ?? ''
    const stored = storedAt('credentials/key')
    await store.put('credentials/thief', { ...stored.value, name: 'thief' })

    await expect(credentials.openSecret('thief', version)).rejects.toThrow('key_ring_unavailable')
  })
})

async function createWorld() {
  const clock = createFakeClock(writtenAt)
  const entropy = createSequence(0)
  const store = createMemoryStore({ clock })
  for (const { key, value, ...times } of fixture.documents)
    await store.put(
      key,
      documentOf(value),
      'expires_at' in times ? { expiresAt: epochSeconds(times.expires_at) } : {},
    )
  const kms = createFakeKms(fixture.kms_key)
  const kmsKeys = createKmsRingKeys({
    cryptoKey: kms.cryptoKey,
    kmsUrl: kms.kmsUrl,
    http: kms.http,
    clock,
    sharesWork: true,
    accessToken: () => Promise.resolve(new Secret('kms-token')),
  })
  const { kid, key } = fixture.local_key
  const keyRing = createKeyRing([createLocalRingKeys([{ kid, key: new Secret(key) }]), kmsKeys])
  const malformed: string[] = []
  const log: string[] = []
  const deps = { store, clock, entropy, keyRing }
  return {
    ...deps,
    malformed,
    log,
    credentials: createCredentials({ ...deps, onMalformed: ({ reason }) => malformed.push(reason) }),
    leases: createRefreshLeases({ ...deps, holder: 'instance-2' }),
    rotations: createRotations({ ...deps, holder: 'instance-2' }),
    tokens: createTokens({ ...deps, log: (_, text) => log.push(text), holder: 'instance-2' }),
    isDestroyed: (name: string, version: string) =>
      parseCredentialRecord(storedAt(`credentials/${name}`)).versions.some(
        ({ id, sealed }) => id === version && sealed === undefined,
      ),
  }
}

/** A document of the fixture as a store gives it. */
function storedAt(key: string): Stored {
  const found = fixture.documents.find((document) => document.key === key)
  if (found === undefined) throw new Error(`the fixture has no ${key}`)
  return { key, value: documentOf(found.value), version: 'v' as Stored['version'] }
}

function documentOf(value: object): Document {
  return JSON.parse(JSON.stringify(value)) as Document
}

function isTokenKey(key: string): key is TokenKey {
  return key.startsWith('tokens/')
}

/** The secret with its text, to compare it. */
function revealed(value: CredentialSecret): unknown {
  const reveal = (member: unknown): unknown => {
    if (member instanceof Secret) return member.reveal()
    if (Array.isArray(member)) return member.map(reveal)
    if (typeof member !== 'object' || member === null) return member
    return Object.fromEntries(Object.entries(member).map(([name, inner]) => [name, reveal(inner)]))
  }
  return reveal(value)
}
