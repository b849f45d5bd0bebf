import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startBrokerPair, type BrokerPair } from '../support/broker-pair.ts'
import { until } from '../support/test-broker/until.ts'

const day = 86_400_000
const calendar = 'https://www.googleapis.com/auth/calendar.readonly'

let world: BrokerPair

beforeEach(async () => {
  world = await startBrokerPair()
})
afterEach(() => world.close())

async function enrolAccount(name = 'reports-sa', more: object = {}) {
  const file = await world.google.createServiceAccount()
  world.google.allowKeyAdministration(file.client_email, file.client_email)
  const body = { name, secret: file, ...more }
  const enrolled = await world.administer(world.brokers[0], 'POST credentials', body)
  expect(enrolled.status).toBe(201)
  return file
}

const maintain = (which: 0 | 1 = 0) => world.settle(world.brokers[which].maintain())
const read = async (name: string) =>
  (await world.administer(world.brokers[0], `GET credentials/${name}`)).body
const rotationOf = async (name: string) => JSON.stringify((await read(name))['rotation'])
const exchanges = (credential: string) => world.google.calls.count({ endpoint: 'token', credential })

describe('a credential that is rotated by itself', () => {
  test('when its key is so many days old, once, and then when the new one is', async () => {
    const { client_email: email } = await enrolAccount('reports-sa', { rotate_after_days: 30 })
    await world.clock.advance(29 * day)
    expect((await maintain()).begun).toEqual([])
    await world.clock.advance(1 * day)
    expect((await maintain()).begun).toEqual(['reports-sa'])
    for (let run = 0; run < 4; run += 1) {
      await world.clock.advance(700_000)
      await maintain()
    }
    expect(await read('reports-sa')).toMatchObject({ rotate_after_days: 30 })
    expect(world.google.keysOf(email)).toMatchObject([{ disabled: true }, { disabled: false }])

    await world.clock.advance(29 * day)
    const { begun, removed } = await maintain()
    expect([begun, removed.length]).toEqual([[], 1])
    await world.clock.advance(1 * day)
    expect((await maintain()).begun).toEqual(['reports-sa'])
  })

  test('is one that can be: nobody consents without a person', async () => {
    const secret = world.google.createRefreshToken({ scopes: [calendar] })
    const body = { name: 'team-calendar', secret, scopes: [calendar], rotate_after_days: 30 }
    const refused = await world.administer(world.brokers[0], 'POST credentials', body)
    expect([refused.status, refused.body['detail']]).toEqual([
      422,
      'rotate_after_days: only a service-account key can be replaced without a person',
    ])
    const { rotate_after_days: _, ...without } = body
    await world.administer(world.brokers[0], 'POST credentials', without)
    const changed = await world.administer(world.brokers[0], 'PATCH credentials/team-calendar', {
      rotate_after_days: 30,
    })
    expect(changed.status).toBe(409)
  })

  test('for as long as somebody wants it', async () => {
    await enrolAccount('reports-sa', { rotate_after_days: 30 })
    const changed = await world.administer(world.brokers[0], 'PATCH credentials/reports-sa', {
      rotate_after_days: null,
    })
    expect(changed.body).not.toHaveProperty('rotate_after_days')
    await world.clock.advance(31 * day)
    expect((await maintain()).begun).toEqual([])
  })
})

describe('a maintenance run', () => {
  test('tries what nobody used for a day, once a day, and notes what came of it', async () => {
    const file = await enrolAccount()
    const jwt = await world.callerJwt()
    await world.ask(world.brokers[0], 'reports-sa', jwt)
    expect((await maintain()).probed).toEqual([])
    await world.clock.advance(day)
    expect((await maintain()).probed).toEqual([{ credential: 'reports-sa', works: true }])
    expect((await maintain(1)).probed).toEqual([])

    world.google.disableKey(file.client_email, file.private_key_id)
    await world.clock.advance(day)
    const { probed, faults } = await maintain()
    expect(probed).toEqual([{ credential: 'reports-sa', works: false }])
    expect(faults).toMatchObject([{ task: 'probe', credential: 'reports-sa' }])
    await world.settle(world.brokers[0].settled())
    expect((await read('reports-sa'))['health']).toMatchObject({ status: 'broken' })
  })

  test('leaves a refresh token alone for a week, since each use may replace it', async () => {
    const secret = world.google.createRefreshToken({ scopes: [calendar], rotating: true })
    const body = { name: 'team-calendar', secret, scopes: [calendar] }
    await world.administer(world.brokers[0], 'POST credentials', body)
    await world.clock.advance(6 * day)
    expect((await maintain()).probed).toEqual([])
    await world.clock.advance(1 * day)
    expect((await maintain()).probed).toEqual([{ credential: 'team-calendar', works: true }])
    expect(world.google.grant(secret.refresh_token)?.rotations).toBe(1)
  })

  test('tries an impersonation through its source, and never in its place as somebody else', async () => {
    const file = await enrolAccount()
    const target = await world.google.createServiceAccount()
    world.google.allowImpersonation(file.client_email, target.client_email)
    const body = {
      name: 'acting-sa',
      secret: { type: 'impersonation', service_account: target.client_email, source: 'reports-sa' },
    }
    expect((await world.administer(world.brokers[0], 'POST credentials', body)).status).toBe(201)
    await world.clock.advance(day)
    expect((await maintain()).probed).toContainEqual({ credential: 'acting-sa', works: true })

    await world.administer(world.brokers[0], 'POST credentials/reports-sa:disable')
    await world.clock.advance(day)
    const [fault] = (await maintain()).faults
    expect([fault?.credential, fault?.reason]).toEqual([
      'acting-sa',
      'credential acting-sa: its source reports-sa is gone or not enabled',
    ])
  })

  test('does no harm when two run at once', async () => {
    const { client_email: email } = await enrolAccount('reports-sa', { rotate_after_days: 1 })
    await world.clock.advance(day)
    for (let run = 0; run < 6; run += 1) {
      await world.settle(Promise.all(world.brokers.map((broker) => broker.maintain())))
      await world.clock.advance(700_000)
    }
    expect(world.google.keysOf(email)).toMatchObject([{ disabled: true }, { disabled: false }])
    expect(world.google.calls.count({ endpoint: 'iam', grant: 'uploadKey' })).toBe(1)
  })

  test("goes on with the others when one credential's upstream is in trouble, and says which", async () => {
    const bad = await enrolAccount('bad-sa', { rotate_after_days: 1 })
    await enrolAccount('good-sa', { rotate_after_days: 1 })
    world.google.denyKeyAdministration(bad.client_email, bad.client_email)
    await world.clock.advance(day)
    const { begun, rotations, swept } = await maintain()
    expect(begun).toEqual(['bad-sa', 'good-sa'])
    expect(rotations.find(({ credential }) => credential === 'bad-sa')?.reason).toContain(
      'roles/iam.serviceAccountKeyAdmin',
    )
    expect(rotations.find(({ credential }) => credential === 'good-sa')?.step).toBe('overlap')
    expect(swept).toBeDefined()
  })

  test('is for operators, and tells what it did', async () => {
    await enrolAccount('reports-sa', { rotate_after_days: 1 })
    await world.clock.advance(day)
    const { status, body } = await world.administer(world.brokers[0], 'POST maintenance:run')
    expect([status, body['begun'], body['more_left']]).toEqual([200, ['reports-sa'], false])
    expect(world.records.at(-1)).toMatchObject({ action: 'maintenance.run', outcome: 'done' })
  })
})

describe('a secret that somebody brings', () => {
  const bring = (name: string, body: object) =>
    world.administer(world.brokers[0], `POST credentials/${name}/versions`, body)

  async function enrolGrant(more: object = {}) {
    const secret = world.google.createRefreshToken({ scopes: [calendar], ...more })
    const body = { name: 'team-calendar', secret, scopes: [calendar] }
    expect((await world.administer(world.brokers[0], 'POST credentials', body)).status).toBe(201)
    return secret
  }

  async function finish(runs = 12) {
    for (let run = 0; run < runs; run += 1) {
      await maintain()
      await world.clock.advance(700_000)
    }
  }

  test('replaces a refresh token after one real refresh, and ends what it replaced only where that is safe', async () => {
    const former = await enrolGrant()
    const next = world.google.createRefreshToken({ scopes: [calendar], user: 'other@acme.example' })
    const before = exchanges(next.refresh_token)
    expect((await bring('team-calendar', { secret: next, scopes: [calendar] })).status).toBe(201)
    await finish()
    expect((await read('team-calendar'))['rotation']).toBeUndefined()
    expect(exchanges(next.refresh_token) - before).toBeGreaterThanOrEqual(1)
    // The same client: revoking one of its tokens might end the grant of the other.
    expect(world.google.grant(former.refresh_token)?.state).toBe('live')

    const client = { clientId: 'another.apps.googleusercontent.com', clientSecret: 'GOCSPX-another' }
    const third = world.google.createRefreshToken({ scopes: [calendar], ...client })
    await bring('team-calendar', { secret: third, scopes: [calendar] })
    await maintain()
    expect(world.google.grant(next.refresh_token)?.state).toBe('live')
    await finish()
    expect(world.google.grant(next.refresh_token)?.state).toBe('revoked')
    expect(world.google.grant(third.refresh_token)?.state).toBe('live')
    const { body } = await world.ask(world.brokers[1], 'team-calendar', await world.callerJwt())
    expect(world.google.token(String(body['access_token']))?.grant).toBe(third.refresh_token)
  })

  test('that does not work changes nothing, says why, and can be aborted', async () => {
    const former = await enrolGrant()
    const dead = world.google.createRefreshToken({ scopes: [calendar] })
    world.google.setGrantState(dead.refresh_token, 'revoked')
    await bring('team-calendar', { secret: dead, scopes: [calendar] })
    // It is tried behind the answer: a leap of the clock in the middle of that is another reason.
    await until('the first try is over', async () =>
      (await rotationOf('team-calendar')).includes('"failures":1'),
    )
    expect(await rotationOf('team-calendar')).toContain('expired or revoked')
    await finish(2)
    const { rotation, health } = await read('team-calendar')
    expect(rotation).toMatchObject({ step: 'prove', method: 'import' })
    expect(health).toMatchObject({ status: 'unknown' })
    const again = await bring('team-calendar', { secret: former, scopes: [calendar] })
    expect([again.status, again.body['code']]).toEqual([409, 'state_conflict'])

    await world.administer(world.brokers[0], 'POST credentials/team-calendar:abort')
    await finish(2)
    expect((await read('team-calendar'))['rotation']).toBeUndefined()
    const jwt = await world.callerJwt()
    expect((await world.ask(world.brokers[0], 'team-calendar', jwt)).status).toBe(200)
  })

  test('may be a new secret of the same client, with the same refresh token: two are valid at a time', async () => {
    const former = await enrolGrant()
    const next = { ...former, client_secret: 'GOCSPX-second' }
    world.google.addClientSecret(former.client_id, next.client_secret)
    expect((await bring('team-calendar', { secret: next, scopes: [calendar] })).status).toBe(201)
    await finish()
    world.google.removeClientSecret(former.client_id, former.client_secret)
    await world.clock.advance(3600_000)
    const jwt = await world.callerJwt()
    expect((await world.ask(world.brokers[0], 'team-calendar', jwt)).status).toBe(200)
    expect(world.google.grant(former.refresh_token)?.state).toBe('live')
  })

  test.each([
    ['another kind', () => ({ secret: { type: 'api_key', key: 'AIzaSyA-planted-key-000000000000000000' } })],
    ['no scopes', () => ({ secret: world.google.createRefreshToken({ scopes: [calendar] }) })],
    [
      'the same token, to be revoked',
      (former: object) => ({ secret: former, scopes: [calendar], withdraw_former: true }),
    ],
  ])('is refused with the reason: %s', async (_, body) => {
    const former = await enrolGrant()
    const refused = await bring('team-calendar', body(former))
    expect(refused.status).toBe(422)
    expect(JSON.stringify(refused.body)).not.toMatch(/planted|1\/\/0/)
    expect((await read('team-calendar'))['rotation']).toBeUndefined()
  })

  test('P16: is refused where the token in use is replaced with every refresh, and would be used up', async () => {
    const former = await enrolGrant({ rotating: true })
    await world.ask(world.brokers[0], 'team-calendar', await world.callerJwt())
    const current = { ...former, refresh_token: world.google.grant(former.refresh_token)?.current }
    const refused = await bring('team-calendar', { secret: current, scopes: [calendar] })
    expect([refused.status, String(refused.body['detail'])]).toEqual([
      422,
      expect.stringContaining('two versions cannot share it'),
    ])
  })

  test('is of the same account, for a service-account key, and its owner deletes the old one', async () => {
    const file = await enrolAccount()
    const other = await world.google.createServiceAccount()
    const refused = await bring('reports-sa', { secret: other })
    expect([refused.status, refused.body['detail']]).toEqual([
      422,
      `secret.client_email: is another account than ${file.client_email}`,
    ])
    const next = await world.google.addKey(file.client_email)
    await bring('reports-sa', { secret: next })
    await finish()
    expect((await read('reports-sa'))['key_id']).toBe(next.private_key_id)
    expect(world.google.keysOf(file.client_email).map(({ disabled }) => disabled)).toEqual([false, false])
    expect(world.google.calls.count({ endpoint: 'iam' })).toBe(0)
  })

  test('is what a refresh token is rotated by: the broker cannot', async () => {
    await enrolGrant()
    const refused = await world.administer(world.brokers[0], 'POST credentials/team-calendar:rotate')
    expect([refused.status, refused.body['code']]).toEqual([409, 'state_conflict'])
  })
})
