import { describe, expect, test } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createDriveRotation } from '../../src/rotation/drive-rotation.ts'
import { faultsOfSuccessor } from '../../src/rotation/administer-rotation.ts'
import { createRemoveVersions } from '../../src/rotation/retire-versions.ts'
import type { RevokeVersion } from '../../src/enrolment/revoke-credential.ts'
import type { NewCredential } from '../../src/records/credentials.ts'
import { createCredentialWorld } from '../support/credential-world.ts'
import { createLogBook } from '../support/quiet.ts'
import { upstreamsOf } from '../support/upstreams.ts'

const hour = 3_600_000
const day = 24 * hour
const name = 'team-calendar'

function consent(client: string, more: Partial<NewCredential> = {}): NewCredential {
  return {
    name,
    upstream: 'google',
    identity: client,
    consentedScopes: ['calendar'],
    secret: {
      kind: 'refresh_token',
      client: { id: client, proof: 'none' },
      refreshToken: new Secret(`refresh-token-of-${client}`),
    },
    ...more,
  }
}

/** A consent to client `old` that another to client `new` is to replace; every proof works. */
async function createWorld(enrolled: Partial<NewCredential> = {}) {
  const world = createCredentialWorld()
  const { credentials, clock } = world
  const rotations = world.createRotations('one')
  const book = createLogBook()
  const revoked: string[] = []
  const upstream: { answer: RevokeVersion } = { answer: () => Promise.resolve('done') }
  const notHere = () => Promise.reject(new Error('not part of this test'))
  const deps = {
    credentials,
    clock,
    log: book.log,
    notice: () => undefined,
    iamToken: notHere,
    iamKeys: {
      list: notHere,
      upload: notHere,
      create: notHere,
      certificateOf: notHere,
      disable: notHere,
      remove: notHere,
    },
  }
  const drive = createDriveRotation({
    ...deps,
    rotations,
    createKeyPair: notHere,
    prove: () => Promise.resolve(),
    revoke: async (credential, version) => {
      const result = await upstream.answer(credential, version)
      revoked.push(version)
      return result
    },
  })
  const removeVersions = createRemoveVersions(deps)
  const read = async () => {
    const credential = await credentials.find(name)
    if (credential === undefined) throw new Error('it is gone')
    return credential
  }
  const former = (await credentials.add(consent('old', enrolled)))?.version ?? ''

  return {
    ...world,
    book,
    revoked,
    upstream,
    former,
    read,
    bring: (how: { readonly isWithdrawalAsked?: boolean } = {}) =>
      rotations.beginImport(name, consent('new', enrolled), { withdrawsFormer: true, ...how }),
    abort: () => rotations.beginAbort(name),
    /** As the maintenance of that time does, every ten minutes. */
    pass: async (ms: number) => {
      for (let passed = 0; passed <= ms; passed += 600_000) {
        await drive(name)
        await removeVersions(await read())
        await clock.advance(600_000)
      }
    },
  }
}

const stepOf = async ({ read }: Awaited<ReturnType<typeof createWorld>>) => (await read()).rotation?.step

describe('P28: the refresh token that was replaced', () => {
  test('is revoked an hour after its version was disabled, and its secret is destroyed a day later', async () => {
    const world = await createWorld()
    await world.bring()
    await world.pass(0.9 * hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[], 'disable'])
    await world.pass(hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[world.former], undefined])
    await world.pass(day)
    expect((await world.credentials.heldVersions(name)).map(({ id }) => id)).not.toContain(world.former)
  })

  test('is not revoked while another credential draws on the same client: of one user they are one grant', async () => {
    const world = await createWorld()
    const { credentials } = world
    const other = await credentials.add(consent('old', { name: 'team-drive' }))
    await world.bring()
    await world.pass(2 * day)
    expect(world.revoked).toEqual([])
    expect((await world.read()).rotation?.reason).toBe(
      'credential team-drive is of client old too, and may end with it: move that one as well, or abort',
    )
    expect((await credentials.openSecret('team-drive', other?.version ?? '')).secret.kind).toBe(
      'refresh_token',
    )

    await credentials.revoke('team-drive')
    await world.pass(hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[world.former], undefined])
  })

  test.each([
    ['of another client', consent('third', { name: 'team-drive' })],
    ['at another upstream', consent('old', { name: 'team-drive', upstream: 'crm' })],
    [
      'that is the client itself and no consent to it',
      consent('old', {
        name: 'team-drive',
        secret: { kind: 'client_credentials', client: { id: 'old', proof: 'none' } },
      }),
    ],
  ])('waits for no credential %s', async (_, other) => {
    const world = await createWorld()
    await world.credentials.add(other)
    await world.bring()
    await world.pass(2 * hour)
    expect(world.revoked).toEqual([world.former])
  })

  test.each(['google', 'crm'])(
    'is revoked all the same where somebody asked for that by name, as after a leak, and at once: at %s',
    async (upstream) => {
      const world = await createWorld({ upstream })
      await world.credentials.add(consent('old', { name: 'team-drive', upstream }))
      await world.bring({ isWithdrawalAsked: true })
      await world.pass(0.5 * hour)
      expect(world.revoked).toEqual([world.former])
    },
  )

  test('waits for no other of its client at another upstream than Google, where a token is a grant of its own', async () => {
    const world = await createWorld({ upstream: 'crm' })
    await world.credentials.add(consent('old', { name: 'team-drive', upstream: 'crm' }))
    await world.bring()
    await world.pass(25 * hour)
    expect(world.revoked).toEqual([world.former])
  })

  test('asks the store once for the others, where all are on one page', async () => {
    const world = await createWorld()
    await world.bring()
    await world.pass(2 * hour)
    expect([world.revoked, world.store.counts.list]).toEqual([[world.former], 1])
  })

  test('of another upstream is revoked when its tokens have ended, which may live a day', async () => {
    const world = await createWorld({ upstream: 'crm' })
    await world.bring()
    await world.pass(day)
    expect([world.revoked, await stepOf(world)]).toEqual([[], 'disable'])
    await world.pass(hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[world.former], undefined])
  })

  test('is kept until it can be revoked, however long its upstream is away', async () => {
    const world = await createWorld()
    world.upstream.answer = () =>
      Promise.reject(new BrokerError('upstream_unavailable', { reason: 'it is away' }))
    await world.bring()
    await world.pass(3 * day)
    expect((await world.read()).rotation).toMatchObject({ step: 'disable', reason: 'it is away' })
    expect(await world.credentials.openWithdrawn(name, world.former)).toMatchObject({ kind: 'refresh_token' })

    world.upstream.answer = () => Promise.resolve('already_dead')
    await world.pass(hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[world.former], undefined])
  })

  test('is destroyed unrevoked when somebody gave that up', async () => {
    const world = await createWorld()
    world.upstream.answer = () =>
      Promise.reject(new BrokerError('upstream_unavailable', { reason: 'it is away' }))
    await world.bring()
    await world.pass(2 * hour)
    await world.abort()
    await world.pass(day)
    expect((await world.credentials.heldVersions(name)).map(({ id }) => id)).not.toContain(world.former)
  })
})

describe('a rotation whose former refresh token cannot be revoked', () => {
  test('ends where the upstream turns out to have no endpoint for it, and says that the token lives on', async () => {
    const world = await createWorld()
    world.upstream.answer = () => Promise.resolve('no_endpoint')
    await world.bring()
    await world.pass(2 * hour)
    expect(await stepOf(world)).toBeUndefined()
    expect(world.book.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: 'rotation: the former refresh token lives on: its upstream has no revocation endpoint',
      }),
    )
  })

  test.each([
    [
      'destroyed by hand',
      async ({ credentials, former, bring, pass }: Awaited<ReturnType<typeof createWorld>>) => {
        await bring()
        await pass(0.5 * hour)
        await credentials.destroyVersion(name, former)
      },
    ],
    [
      'revoked with its credential before',
      async ({ credentials, bring }: Awaited<ReturnType<typeof createWorld>>) => {
        await credentials.revoke(name)
        const held = await credentials.heldVersions(name)
        await credentials.noteRevocation(name, { upstream: 'done' }, held)
        await bring()
      },
    ],
  ])('ends where it is %s', async (_, lose) => {
    const world = await createWorld()
    await lose(world)
    await world.pass(2 * hour)
    expect([world.revoked, await stepOf(world)]).toEqual([[], undefined])
    expect((await world.read()).state).toBe('enabled')
  })
})

describe('whether the former refresh token is revoked', () => {
  const stated = { name: 'crm', token_endpoint: 'https://crm.example/token', client_auth: 'none' }
  const judge = async (entry: object | undefined, withdrawFormer?: boolean) => {
    const [upstream] = entry === undefined ? [] : upstreamsOf(entry)
    const { read } = await createWorld({ upstream: upstream?.name ?? 'google' })
    return faultsOfSuccessor({
      credential: await read(),
      brought: consent('new'),
      former: undefined,
      withdrawFormer,
      upstream,
    })
  }

  test.each([
    ['Google', undefined],
    [
      'an upstream with a revocation endpoint',
      { ...stated, revocation_endpoint: 'https://crm.example/revoke' },
    ],
    [
      'an upstream that is discovered',
      { name: 'crm', issuer: 'https://crm.example', discovery: true, client_auth: 'none' },
    ],
  ])('is for the client to say by itself, if it is another: yes, at %s', async (_, entry) => {
    expect(await judge(entry)).toEqual({ faults: [], withdrawsFormer: true })
  })

  test('is no, where the policy says that there is no endpoint for it, and cannot be asked for', async () => {
    expect(await judge(stated)).toEqual({ faults: [], withdrawsFormer: false })
    expect((await judge(stated, true)).faults).toEqual([
      'withdraw_former: upstream crm has no revocation_endpoint in the policy',
    ])
  })

  test('is not decided by the key that its client proves itself with', async () => {
    const withKey = { keyId: 'k1' }
    const { read } = await createWorld(withKey)
    const succession = { credential: await read(), brought: consent('new', withKey), former: undefined }
    expect(faultsOfSuccessor({ ...succession, withdrawFormer: true }).faults).toEqual([])
  })
})
