import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DRIVE, DRIVE_READ, failureOf, startMintWorld, type MintWorld } from '../support/mint-world.ts'

let world: MintWorld
let file: ReturnType<MintWorld['google']['createRefreshToken']>

beforeEach(async () => {
  world = await startMintWorld()
  file = await enrolGrant('calendar-user', { rotating: true, reuseDetection: true })
})
afterEach(async () => {
  await world.background.settled()
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

async function enrolGrant(name: string, options: { rotating?: boolean; reuseDetection?: boolean }) {
  const scopes = [DRIVE, DRIVE_READ, 'email']
  const created = world.google.createRefreshToken({ scopes, ...options })
  await world.enrol(name, created, scopes)
  return created
}

const mint = async (scopes: readonly string[] = [DRIVE_READ], more = {}) =>
  world.mint(await world.grantFor('calendar-user', scopes, more))
const health = async () => (await world.administration.read('calendar-user')).health
/** Until this instance takes a lease that somebody else holds for abandoned. */
async function outwaitTurn(): Promise<void> {
  expect((await failureOf(mint())).code).toBe('lease_busy')
  world.clock.skip(10_000)
}
const googleGrant = () => world.google.grant(file.refresh_token)
const posts = () => world.google.calls.count({ grant: 'refresh_token' })

describe('a token from a refresh token', () => {
  test('P13: asked for with one scope carries that scope only, as Google recorded it', async () => {
    const token = await mint([DRIVE_READ])
    expect(world.google.token(token.secret.reveal())?.scopes).toEqual([DRIVE_READ])
    expect(token.scopes).toEqual([DRIVE_READ])
    expect((await mint([DRIVE, DRIVE_READ])).scopes).toEqual([DRIVE, DRIVE_READ])
    expect((await health()).status).toBe('healthy')
  })

  test('P13: a grant without scopes never reaches Google, which would give everything', async () => {
    expect((await failureOf(mint([]))).code).toBe('scope_refused')
    expect((await failureOf(mint([DRIVE], { tokenType: 'id_token', audience: 'a' }))).code).toBe(
      'target_unavailable',
    )
    expect((await failureOf(mint([DRIVE], { subject: 'ann@acme.example' }))).code).toBe('target_unavailable')
    expect(posts()).toBe(0)
  })

  test('a scope that was not consented literally is scope_refused, and harms nothing', async () => {
    const refused = await failureOf(mint(['https://www.googleapis.com/auth/pubsub']))
    expect([refused.code, refused.reason.includes('invalid_scope')]).toEqual(['scope_refused', true])
    expect((await health()).status).toBe('unknown')
    expect((await mint()).scopes).toEqual([DRIVE_READ])
  })

  test('P16: is returned only after the rotated refresh token is durable', async () => {
    for (let round = 1; round <= 3; round += 1) {
      const putsBefore = world.store.counts.put
      await mint()
      expect(world.store.counts.put - putsBefore).toBe(2)
      expect(googleGrant()).toMatchObject({ rotations: round, state: 'live' })
    }
    const lease = await world.refreshLeases.begin(await reference())
    expect(lease.held && lease.secret.refreshToken.reveal()).toBe(googleGrant()?.current)
  })

  test('P15: of twenty requests at once on two instances no two are upstream together', async () => {
    const other = world.createInstance('instance-2')
    const grant = await world.grantFor('calendar-user', [DRIVE_READ])
    const asked = Array.from({ length: 20 }, (_, index) => (index % 2 ? other : world).mint(grant))
    const results = await Promise.allSettled(asked)
    expect(world.google.calls.highWater({ grant: 'refresh_token' })).toBe(1)
    expect(googleGrant()?.state).toBe('live')
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true)
  })

  test('waits for a lease that another holds, within its deadline, then says when to come back', async () => {
    await world.refreshLeases.begin(await reference())
    const busy = await failureOf(mint())
    expect([busy.code, posts()]).toEqual(['lease_busy', 0])
    expect(busy.retryAfter).toBeGreaterThan(0)
    expect(world.clock.steadyMs()).toBeGreaterThan(3000)
    expect(world.clock.steadyMs()).toBeLessThanOrEqual(7000)
    world.clock.skip(13_000)
    expect((await mint()).scopes).toEqual([DRIVE_READ])
  })
})

describe('a reply whose scopes are not those asked for', () => {
  test('P13: wider is refused, and its rotated refresh token is kept', async () => {
    world.google.script.token.next(1, { do: 'lie', as: 'wider_scope' })
    const refused = await failureOf(mint())
    expect([refused.code, refused.reason.includes('more scopes')]).toEqual(['upstream_nonsense', true])
    world.clock.skip(300_000)
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect(googleGrant()).toMatchObject({ rotations: 2, state: 'live' })
  })

  test('P13: narrower is what the token says of itself, none at all is refused', async () => {
    world.google.script.token.next(1, { do: 'amend', members: { scope: DRIVE } })
    expect((await mint([DRIVE, DRIVE_READ])).scopes).toEqual([DRIVE])
    world.google.script.token.next(1, { do: 'amend', members: { scope: '' } })
    expect((await failureOf(mint([DRIVE, DRIVE_READ]))).code).toBe('upstream_nonsense')
  })

  test('absent means what was asked for, and email means userinfo.email (docs/google.md §6.3)', async () => {
    world.google.script.token.next(1, { do: 'amend', members: { scope: undefined } })
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    const long = 'https://www.googleapis.com/auth/userinfo.email'
    world.google.script.token.next(1, { do: 'amend', members: { scope: 'email' } })
    expect((await mint([long])).scopes).toEqual([long])
  })
})

describe('invalid_grant', () => {
  test('P17: once destroys nothing and marks nothing: the token is asked for again', async () => {
    world.google.script.token.next(1, { do: 'refuse', as: 'grant_unknown' })
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect([(await health()).status, posts()]).toEqual(['healthy', 2])
  })

  test('P17: because another instance rotated meanwhile is answered with the newer token', async () => {
    const late = world.createInstance('late')
    const lease = await late.refreshLeases.begin(await reference())
    if (!lease.held) throw new Error('the lease was free')
    await outwaitTurn()
    // The late holder's own refresh reached Google first; its end is written while we are there.
    world.google.script.token.next(1, () => ({ do: 'refuse', as: 'grant_unknown' }))
    let isFirst = true
    world.store.before = async (operation) => {
      if (operation !== 'put' || posts() !== 1 || !isFirst) return
      isFirst = false
      await late.refreshLeases.end(lease, { rotated: lease.secret.refreshToken })
    }
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect((await health()).status).toBe('healthy')
  })

  test('P17: repeated breaks the credential with the true reason, keeps it, and heals by itself', async () => {
    world.google.setGrantState(file.refresh_token, 'expired')
    const refused = await failureOf(mint())
    expect(refused.code).toBe('target_unavailable')
    expect(await health()).toMatchObject({ status: 'broken', reason: refused.reason })
    expect(refused.reason).toContain('Token has been expired or revoked.')
    expect(refused.reason).not.toContain('interrupted')
    world.google.setGrantState(file.refresh_token, 'live')
    await mint()
    expect((await health()).status).toBe('healthy')
  })

  test('for a Workspace session that ended tells the operator what to do', async () => {
    world.google.setGrantState(file.refresh_token, 'rapt_required')
    const refused = await failureOf(mint())
    expect(refused.reason).toContain('session control')
    expect(refused.reason).toContain('invalid_rapt')
  })

  test('a deleted OAuth client is the credential’s fault too', async () => {
    world.google.deleteClient(file.client_id)
    expect((await failureOf(mint())).reason).toContain('deleted_client')
    expect((await health()).status).toBe('broken')
  })
})

describe('P16: a crash or an outage between Google’s answer and the store', () => {
  test('of the process is reported with the next request, and with the one after it', async () => {
    // What a killed process leaves: Google has rotated, the lease was never ended.
    const lease = await world.refreshLeases.begin(await reference())
    if (!lease.held) throw new Error('the lease was free')
    await fetch(world.google.endpoints.GOOGLE_OAUTH_TOKEN_URL, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: file.client_id,
        client_secret: file.client_secret,
        refresh_token: file.refresh_token,
      }),
    })
    const interruptedAt = world.clock.now()
    await outwaitTurn()
    for (let request = 0; request < 2; request += 1) {
      const refused = await failureOf(mint())
      expect(refused.code).toBe('target_unavailable')
      expect(refused.reason).toContain(`a rotation was interrupted at ${interruptedAt}`)
      expect((await health()).reason).toBe(refused.reason)
    }
  })

  test('of the connection, after Google rotated, is reported, and it is sent once more and never twice', async () => {
    world.google.script.token.next(1, { do: 'reset' })
    expect((await failureOf(mint())).reason).toContain('a rotation was interrupted')
    expect(posts()).toBe(2)
  })

  test('of the connection twice in a row: a third time is for the next request', async () => {
    world.google.script.token.next(2, { do: 'reset', when: 'before_answer' })
    expect((await failureOf(mint())).code).toBe('upstream_unavailable')
    expect(posts()).toBe(2)
    expect((await mint()).scopes).toEqual([DRIVE_READ])
  })

  test('of the connection without rotation loses nothing', async () => {
    world.google.script.token.next(1, { do: 'reset', when: 'before_answer' })
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect((await health()).status).toBe('healthy')
  })

  test('of the store for a second is not even noticed', async () => {
    breakStoreAfterGoogle(1000)
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect((await mint()).scopes).toEqual([DRIVE_READ])
  })

  test('of the store for a minute keeps the access token back and stores the rotated one later', async () => {
    breakStoreAfterGoogle(60_000)
    const refused = await failureOf(mint())
    expect(refused.code).toBe('store_unavailable')
    expect(world.book.lines.map(({ level, message }) => [level, message])).toContainEqual([
      'error',
      'a rotated refresh token is not stored yet; trying on',
    ])
    await world.background.settled()
    expect(world.book.lines.at(-1)?.message).toBe('the rotated refresh token is stored after all')
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect(googleGrant()).toMatchObject({ rotations: 2, state: 'live' })
  })

  test('of the store makes this instance refuse to send the consumed token until the new one is stored', async () => {
    const grant = await world.grantFor('calendar-user', [DRIVE_READ])
    // As on Workers, which end what is in the background soon after the answer.
    const cutOff = { runsAfterAnswer: true, run: () => undefined }
    const instance = world.createInstance('instance-2', { background: cutOff })
    breakStoreAfterGoogle(60_000)
    expect((await failureOf(instance.mint(grant))).code).toBe('store_unavailable')
    world.clock.skip(13_000)
    const second = await failureOf(instance.mint(grant))
    expect([second.code, second.reason.includes('not stored yet'), posts()]).toEqual([
      'store_unavailable',
      true,
      1,
    ])
    // An hour later the first request stores it before anything else.
    world.clock.skip(3_600_000)
    expect((await instance.mint(grant)).scopes).toEqual([DRIVE_READ])
    expect(googleGrant()).toMatchObject({ rotations: 2, state: 'live' })
  })

  test('of the store is over for a credential that was enrolled anew meanwhile', async () => {
    const instance = world.createInstance('instance-2', {
      background: { runsAfterAnswer: true, run: () => undefined },
    })
    breakStoreAfterGoogle(60_000)
    await failureOf(instance.mint(await world.grantFor('calendar-user', [DRIVE_READ])))
    world.clock.skip(60_000)
    await world.administration.destroy('calendar-user')
    const linesBefore = world.book.lines.length
    file = await enrolGrant('calendar-user', { rotating: true, reuseDetection: true })
    expect((await instance.mint(await world.grantFor('calendar-user', [DRIVE_READ]))).scopes).toEqual([
      DRIVE_READ,
    ])
    expect(googleGrant()).toMatchObject({ rotations: 1, state: 'live' })
    expect(world.book.lines.slice(linesBefore).map(({ level, message }) => [level, message])).toEqual([
      [
        'error',
        'a rotated refresh token is dropped: its version was revoked or destroyed meanwhile, and it may live on upstream',
      ],
    ])
  })

  test('of the store for longer than five minutes is reported with the next request', async () => {
    breakStoreAfterGoogle(400_000)
    await failureOf(mint())
    await world.background.settled()
    world.clock.skip(400_000)
    expect(world.book.lines.map(({ message }) => message)).toContainEqual(
      'a rotated refresh token is lost: the store never took it',
    )
    expect((await failureOf(mint())).reason).toContain('a rotation was interrupted')
  })

  test('of the key ring is like one of the store', async () => {
    const grant = await world.grantFor('calendar-user', [DRIVE_READ])
    world.google.script.token.next(1, () => {
      world.keyRing.down = true
      return undefined
    })
    const minting = failureOf(world.mint(grant))
    expect((await minting).code).toBe('store_unavailable')
  })

  test('a put whose answer was lost still hands out the token, and the next one', async () => {
    world.google.script.token.next(1, () => {
      world.store.losesNextAnswer = true
      return undefined
    })
    expect((await mint()).scopes).toEqual([DRIVE_READ])
    expect((await mint()).scopes).toEqual([DRIVE_READ])
  })
})

describe('P20: a lease that a crash left behind', () => {
  test('is over for an instance that never saw it, since Google uses no refresh token up', async () => {
    await world.refreshLeases.begin(await reference())
    world.clock.skip(13_000)
    const grant = await world.grantFor('calendar-user', [DRIVE_READ])
    expect((await world.createInstance('new').mint(grant)).scopes).toEqual([DRIVE_READ])
    expect(world.clock.slept).toEqual([])
  })

  test('is not what a store leaves that fails once, as a lease without a new token ends', async () => {
    world.google.script.token.next(1, () => {
      world.store.before = (operation) => {
        if (operation !== 'put') return Promise.resolve()
        world.store.before = () => Promise.resolve()
        return Promise.reject(new Error('a hiccup'))
      }
      return { do: 'refuse', as: 'scope_not_granted' }
    })
    await failureOf(mint())
    expect(await world.refreshLeases.begin(await reference())).toMatchObject({ held: true })
  })
})

describe('a key ring that is down before anything is sent', () => {
  test('leaves neither a lease nor the mark of a crash', async () => {
    world.keyRing.down = true
    expect((await failureOf(mint())).code).toBe('key_ring_unavailable')
    world.keyRing.down = false
    const lease = await world.refreshLeases.begin(await reference())
    expect(lease).toMatchObject({ held: true })
    expect(lease).not.toHaveProperty('interruptedAt')
  })
})

async function reference() {
  const { name, version } = await world.administration.read('calendar-user')
  return { name, version }
}

/** The store fails from the moment Google is asked, and works again when `ms` have passed. */
function breakStoreAfterGoogle(ms: number): void {
  world.google.script.token.next(1, () => {
    const untilMs = world.clock.steadyMs() + ms
    world.store.before = async () => {
      world.store.down = world.clock.steadyMs() < untilMs
      await Promise.resolve()
    }
    return undefined
  })
}
