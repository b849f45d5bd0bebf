import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import {
  createRefreshLeases,
  type RefreshLease,
  type RefreshLeases,
} from '../../src/records/refresh-leases.ts'
import { createCredentialWorld, refreshCredential } from '../support/credential-world.ts'
import { createSequence } from '../support/sequence.ts'

async function createWorld() {
  const world = createCredentialWorld()
  const added = await world.credentials.add(refreshCredential)
  const which = { name: 'calendar-user', version: added?.version ?? '' }
  const held = async (leases: RefreshLeases): Promise<RefreshLease> => {
    const lease = await leases.begin(which)
    if (!lease.held) throw new Error('the lease was not free')
    return lease
  }
  const storedToken = async () => {
    const { secret } = await world.credentials.openSecret(which.name, which.version)
    return secret.kind === 'refresh_token' ? secret.refreshToken.reveal() : undefined
  }
  /** Waits until this instance takes the lease for abandoned. */
  const outwait = async (leases: RefreshLeases) => {
    for (const ms of [5_000, 5_000]) {
      expect(await leases.begin(which)).toMatchObject({ held: false })
      await world.clock.advance(ms)
    }
  }
  /** An instance between whose opening a refresh token and taking the lease something else happens. */
  const createTurnsOpening = (afterOpen: () => Promise<void>) => {
    const { store, clock, keyRing } = world
    const open: typeof keyRing.open = async (...given) => {
      const secret = await keyRing.open(...given)
      await afterOpen()
      return secret
    }
    const entropy = createSequence(0)
    return createRefreshLeases({ store, clock, entropy, keyRing: { ...keyRing, open }, holder: 'opening' })
  }
  return {
    ...world,
    which,
    createTurnsOpening,
    held,
    storedToken,
    outwait,
    one: world.createLeases('one'),
    two: world.createLeases('two'),
  }
}

describe('refresh leases', () => {
  it('are held by one at a time', async () => {
    const { one, two, held, which } = await createWorld()
    const lease = await held(one)
    expect(lease.secret.refreshToken.reveal()).toBe('refresh-1')
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 10 })
    await one.end(lease, {})
    expect((await held(two)).fence).toBe(lease.fence + 1)
  })

  it('P16: a rotated token is durable when the lease has ended', async () => {
    const { one, two, held, storedToken } = await createWorld()
    await one.end(await held(one), { rotated: new Secret('refresh-2'), health: { status: 'healthy' } })
    expect(await storedToken()).toBe('refresh-2')
    expect((await held(two)).secret.refreshToken.reveal()).toBe('refresh-2')
  })

  it('a refresh that shows another health, or another end, is a change of the credential', async () => {
    const { one, held, clock, which, credentials } = await createWorld()
    const shown = async () => {
      const { revision, health, expiresAt } = (await credentials.find(which.name)) ?? {}
      return { revision, status: health?.status, expiresAt }
    }
    const first = later(clock.now(), seconds(86_400))
    const second = later(first, seconds(86_400))
    await one.end(await held(one), { health: { status: 'healthy' } })
    expect(await shown()).toEqual({ revision: 2, status: 'healthy', expiresAt: undefined })
    await one.end(await held(one), { health: { status: 'broken', reason: 'refused' } })
    expect(await shown()).toEqual({ revision: 3, status: 'broken', expiresAt: undefined })
    await one.end(await held(one), { expiresAt: first })
    expect(await shown()).toEqual({ revision: 4, status: 'broken', expiresAt: first })
    await one.end(await held(one), { rotated: new Secret('refresh-2'), expiresAt: second })
    expect(await shown()).toEqual({ revision: 5, status: 'broken', expiresAt: second })
  })

  it('a refresh that shows nothing new leaves what is shown as it was, for half a day', async () => {
    const { one, held, clock, which, credentials, storedToken } = await createWorld()
    await one.end(await held(one), { health: { status: 'healthy' } })
    const before = await credentials.find(which.name)
    await clock.advance(11 * 3_600_000)
    await one.end(await held(one), { rotated: new Secret('refresh-2'), health: { status: 'healthy' } })
    expect(await storedToken()).toBe('refresh-2')
    expect(await credentials.find(which.name)).toEqual(before)
    await clock.advance(3_600_000)
    await one.end(await held(one), { health: { status: 'healthy' } })
    expect(await credentials.find(which.name)).toMatchObject({
      revision: 3,
      health: { ...before?.health, checkedAt: clock.now() },
    })
  })

  it('P16: ending again after an unknown outcome stores the token once and harms nothing', async () => {
    const { one, two, held, store, storedToken } = await createWorld()
    const lease = await held(one)
    store.losesNextAnswer = true
    await expect(one.end(lease, { rotated: new Secret('refresh-2') })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    const next = await held(two)
    expect(await one.end(lease, { rotated: new Secret('refresh-2') })).toBe('superseded')
    expect(await storedToken()).toBe('refresh-2')
    expect(await two.end(next, { rotated: new Secret('refresh-3') })).toBe('ended')
    expect(await storedToken()).toBe('refresh-3')
  })

  it('P16: a token that another writer stored between opening and taking is the one that is refreshed', async () => {
    const { two, held, which, createTurnsOpening } = await createWorld()
    let rotations = 0
    const one = createTurnsOpening(async () => {
      if (rotations === 1) return
      rotations += 1
      await two.end(await held(two), { rotated: new Secret('refresh-2') })
    })
    const lease = await held(one)
    expect(rotations).toBe(1)
    expect(lease.secret.refreshToken.reveal()).toBe('refresh-2')
    expect(lease.generation).toBe(2)
    expect(await two.begin(which)).toMatchObject({ held: false })
  })

  it('P16: a token that is replaced each time it was opened is in other hands', async () => {
    const { two, held, which, createTurnsOpening, storedToken } = await createWorld()
    let rotations = 0
    const one = createTurnsOpening(async () => {
      rotations += 1
      await two.end(await held(two), { rotated: new Secret(`refresh-${rotations + 1}`) })
    })
    expect(await one.begin(which)).toMatchObject({ held: false, retryAfter: 1 })
    expect(await storedToken()).toBe(`refresh-${rotations + 1}`)
    // Neither a lease nor the mark of a crash was left behind.
    expect((await held(two)).interruptedAt).toBeUndefined()
  })

  it('P16: a crash between sending and storing is told to the next holder', async () => {
    const { one, two, held, clock, outwait } = await createWorld()
    const startedAt = clock.now()
    await held(one)
    await outwait(two)
    const next = await held(two)
    expect(next.interruptedAt).toBe(startedAt)
    await two.end(next, {})
    expect((await held(one)).interruptedAt).toBeUndefined()
  })

  it('P16: the mark of a lost token stays until a lease clears it up', async () => {
    const { one, two, held, outwait } = await createWorld()
    await held(one)
    await outwait(two)
    await two.end(await held(two), { keepIntent: true })
    expect((await held(one)).interruptedAt).toBeDefined()
  })

  it('P18: a late holder stores its rotated token if nobody stored another', async () => {
    const { one, two, held, storedToken, outwait } = await createWorld()
    const late = await held(one)
    await outwait(two)
    const next = await held(two)
    expect(await one.end(late, { rotated: new Secret('late') })).toBe('ended')
    expect(await storedToken()).toBe('late')
    // Whoever holds the lease got its token later: of two that came from one, the later is the better guess.
    await two.end(next, { rotated: new Secret('newer') })
    expect(await storedToken()).toBe('newer')
  })

  it('P18: a late holder does not end the lease of its successor', async () => {
    const { one, two, held, which, outwait } = await createWorld()
    const late = await held(one)
    await outwait(two)
    await held(two)
    expect(await one.end(late, {})).toBe('superseded')
    expect(await one.begin(which)).toMatchObject({ held: false })
  })

  it('a credential disabled in between keeps its new token and stays disabled', async () => {
    const { one, held, credentials, storedToken, which } = await createWorld()
    const lease = await held(one)
    await credentials.setState('calendar-user', 'disabled')
    await one.end(lease, { rotated: new Secret('refresh-2') })
    await expect(one.begin(which)).rejects.toMatchObject({ code: 'target_unavailable' })
    await credentials.setState('calendar-user', 'enabled')
    expect(await storedToken()).toBe('refresh-2')
  })

  it('P16: a crash while one version is refreshed is not told of another', async () => {
    const { credentials, createLeases, clock, createRotations } = createCredentialWorld()
    const added = await credentials.add(refreshCredential)
    await createRotations('one').beginImport('calendar-user', refreshCredential, { withdrawsFormer: false })
    const { versions = [] } = (await credentials.find('calendar-user')) ?? {}
    const [active = '', candidate = ''] = versions.map(({ id }) => id)
    expect(active).toBe(added?.version)
    await createLeases('crashed').begin({ name: 'calendar-user', version: candidate })
    const crashedAt = clock.now()
    const leases = createLeases('two')
    for (const ms of [5_000, 5_000]) {
      await leases.begin({ name: 'calendar-user', version: active })
      await clock.advance(ms)
    }
    const lease = await leases.begin({ name: 'calendar-user', version: active })
    if (!lease.held) throw new Error('the lease was over')
    expect(lease.interruptedAt).toBeUndefined()
    await leases.end(lease, { health: { status: 'healthy' } })
    expect(await leases.begin({ name: 'calendar-user', version: candidate })).toMatchObject({
      interruptedAt: crashedAt,
    })
  })

  it('a candidate is refreshed with the scopes that were consented with it', async () => {
    const { credentials, createLeases, createRotations } = createCredentialWorld()
    const { version: active = '' } = (await credentials.add(refreshCredential)) ?? {}
    const brought = { ...refreshCredential, consentedScopes: ['c'] }
    await createRotations('one').beginImport('calendar-user', brought, { withdrawsFormer: false })
    const candidate = (await credentials.find('calendar-user'))?.versions.at(-1)?.id ?? ''
    const leases = createLeases('one')
    const lease = await leases.begin({ name: 'calendar-user', version: candidate })
    if (!lease.held) throw new Error('nobody else has it')
    expect(lease.consentedScopes).toEqual(['c'])
    await leases.end(lease, {})
    expect(await leases.begin({ name: 'calendar-user', version: active })).toMatchObject({
      consentedScopes: ['a', 'b'],
    })
  })

  it('a version that was destroyed in between gets no secret back', async () => {
    const { credentials, createLeases, createRotations, store } = createCredentialWorld()
    await credentials.add(refreshCredential)
    await createRotations('one').beginImport('calendar-user', refreshCredential, { withdrawsFormer: false })
    const candidate = (await credentials.find('calendar-user'))?.versions.at(-1)?.id ?? ''
    const leases = createLeases('one')
    const lease = await leases.begin({ name: 'calendar-user', version: candidate })
    if (!lease.held) throw new Error('nobody else has it')
    await credentials.disableVersion('calendar-user', candidate)
    await credentials.destroyVersion('calendar-user', candidate)
    expect(await leases.end(lease, { rotated: new Secret('refresh-2') })).toBe('gone')
    expect(JSON.stringify(await store.get('credentials/calendar-user'))).not.toContain('refresh-2')
  })

  it('a credential that was destroyed in between stays destroyed', async () => {
    const { one, held, credentials } = await createWorld()
    const lease = await held(one)
    await credentials.remove('calendar-user')
    expect(await one.end(lease, { rotated: new Secret('refresh-2') })).toBe('gone')
    expect(await credentials.find('calendar-user')).toBeUndefined()
  })
})

describe('refresh leases of instances whose clocks differ', () => {
  it.each([-7200, -60, -11, 11, 13, 60, 290, 3_600, 7_200])(
    'by %i s: a lease that lives is never taken over, and one that is left behind is after 10 s',
    async (off) => {
      const { held, clock, which, createLeases } = await createWorld()
      await held(createLeases('one'))
      const other = createLeases('other', off)
      for (let second = 0; second < 10; second += 1) {
        expect(await other.begin(which)).toMatchObject({ held: false, retryAfter: 10 - second })
        await clock.advance(1_000)
      }
      expect((await held(other)).interruptedAt).toBeDefined()
    },
  )

  it('where a second refresh harms nothing, what a crash left is free by the clock, for whoever comes first', async () => {
    const { one, two, held, clock, which } = await createWorld()
    await held(one)
    const wanted = { ...which, mayOverlap: true }
    expect(await two.begin(wanted)).toMatchObject({ held: false, retryAfter: 13 })
    await clock.advance(13_000)
    expect(await two.begin(which)).toMatchObject({ held: false })
    expect(await two.begin(wanted)).toMatchObject({ held: true, fence: 2 })
  })

  it('a clock that jumps while another refreshes changes nothing', async () => {
    const { one, two, held, clock, which } = await createWorld()
    await held(one)
    await two.begin(which)
    await clock.advance(3_000)
    clock.jump(-3_600)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 7 })
    clock.jump(3_600 + 200)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 7 })
  })

  it('of many leases in a row each is watched anew', async () => {
    const { one, two, held, clock, which } = await createWorld()
    for (let round = 0; round < 5; round += 1) {
      const mine = await held(one)
      expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 10, holder: 'one' })
      await clock.advance(6_000)
      expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 4 })
      await one.end(mine, {})
    }
  })

  it('P16: after an outage in which the store hung its holder stores first what it got before', async () => {
    const { one, two, held, clock, which, storedToken, store } = await createWorld()
    const lease = await held(one)
    await two.begin(which)
    // The store is away, and what was asked last hangs for as long as an adapter lets it.
    await clock.advance(15_000)
    store.before = async () => {
      await clock.sleep(3_000)
      throw new Error('the store did not answer in time')
    }
    const hanging = one.end(lease, { rotated: new Secret('refresh-2') }).catch(() => 'in vain')
    await clock.advance(0)
    // It is back.
    store.before = () => Promise.resolve()
    for (let second = 0; second < 4; second += 1) {
      expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 6 - second })
      await clock.advance(1_000)
    }
    expect(await hanging).toBe('in vain')
    await one.end(lease, { rotated: new Secret('refresh-2') })
    expect((await held(two)).secret.refreshToken.reveal()).toBe('refresh-2')
    expect(await storedToken()).toBe('refresh-2')
  })

  it('what was seen of a name that is enrolled again counts for nothing', async () => {
    const { one, two, held, clock, which, credentials } = await createWorld()
    await held(one)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 10, holder: 'one' })
    await credentials.remove(which.name)
    await clock.advance(8_000)
    const version = (await credentials.add(refreshCredential))?.version ?? ''
    const anew = { name: which.name, version }
    expect(await one.begin(anew)).toMatchObject({ held: true, fence: 1 })
    expect(await two.begin(anew)).toMatchObject({ held: false, retryAfter: 10, holder: 'one' })
  })

  it('whoever comes back to what a crash left four hours ago waits 2 s', async () => {
    const { one, two, held, clock, which } = await createWorld()
    await held(one)
    await clock.advance(4 * 3_600_000)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 2 })
    await clock.advance(2_000)
    expect((await held(two)).interruptedAt).toBeDefined()
  })

  it('whoever asks twice, long after a crash, is served without polling for all of a lease', async () => {
    const { one, two, held, clock, which } = await createWorld()
    await held(one)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 10, holder: 'one' })
    await clock.advance(1_800_000)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 6 })
    // It polls for 3 s, and comes back after 2.
    await clock.advance(3_000)
    expect(await two.begin(which)).toMatchObject({ held: false, retryAfter: 3 })
    await clock.advance(3_000)
    expect((await held(two)).interruptedAt).toBeDefined()
  })
})
