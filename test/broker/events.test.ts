import { describe, expect, test, vi } from 'vitest'
import { createBrokerWorld, jsonAnswer, type BrokerWorld } from '../support/broker-world.ts'
import { answer } from '../support/routed-http.ts'
import { readWebhook, webhookSecret, type ReceivedWebhook } from '../support/webhook-verifier.ts'

const tokenUrl = 'https://oauth2.googleapis.com/token'
const url = 'https://hooks.acme.example/services/T0/secret-path'
const day = 86_400_000
const readScope = 'https://www.googleapis.com/auth/drive.readonly'

interface EventWorld extends BrokerWorld {
  readonly received: readonly ReceivedWebhook[]
  /** Waits until so many came, and gives back the last of them. */
  readonly came: (count: number) => Promise<ReceivedWebhook | undefined>
  readonly maintain: () => Promise<void>
  readonly policyNow: () => Promise<{ readonly document: string; readonly etag: string }>
}

async function createWorld(): Promise<EventWorld> {
  const world = await createBrokerWorld(undefined, {
    DOWNSCOPE_WEBHOOK_URL: url,
    DOWNSCOPE_WEBHOOK_SECRET: webhookSecret,
  })
  const received: ReceivedWebhook[] = []
  world.route(url, async (request) => {
    received.push(await readWebhook(request))
    return answer('', 204)
  })
  expect((await world.enrol()).status).toBe(201)
  return {
    ...world,
    received,
    came: async (count) => {
      await vi.waitFor(() => expect(received.length).toBeGreaterThanOrEqual(count), { timeout: 20_000 })
      return received[count - 1]
    },
    maintain: async () => {
      const { status } = await world.call('POST /v1/admin/maintenance:run', { as: 'ops' })
      expect(status).toBe(200)
    },
    policyNow: async () => {
      const answered = await world.call('GET /v1/admin/policy', { as: 'ops' })
      const { document } = (await answered.json()) as { readonly document: string }
      return { document, etag: answered.headers.get('etag') ?? '' }
    },
  }
}

const invalidGrant = () => jsonAnswer({ error: 'invalid_grant', error_description: 'revoked' }, 400)
const token = (more: object = {}) =>
  jsonAnswer({ access_token: 'ya29.t', expires_in: 3599, scope: readScope, token_type: 'Bearer', ...more })

describe('an event tells', () => {
  test('that a credential broke and recovered, once for however many instances see it', async () => {
    const world = await createWorld()
    world.route(tokenUrl, invalidGrant)
    const refused = await Promise.all([world.ask(0), world.ask(1), world.ask(0)])
    const broken = await world.came(1)
    await world.maintain()
    world.route(tokenUrl, () => token())
    await world.clock.advance(60_000)
    const given = await world.ask(1)
    const recovered = await world.came(2)
    await world.maintain()

    expect(refused.map(({ status }) => status)).toEqual([400, 400, 400])
    expect(given.status).toBe(200)
    expect(broken).toMatchObject({ type: 'credential.broken', data: { credential: 'team' } })
    expect(broken?.data['reason']).toContain('invalid_grant')
    expect(recovered).toMatchObject({ type: 'credential.recovered', data: { credential: 'team' } })
    expect(world.received).toHaveLength(2)
    expect(world.lines.filter(({ fields }) => 'event' in fields)).toHaveLength(2)
  })

  test('that a refresh token ends in 30, 7 and 1 days, once each', async () => {
    const world = await createWorld()
    world.route(tokenUrl, () => token({ refresh_token_expires_in: 31 * 86_400 }))
    await world.ask()
    world.route(tokenUrl, () => token())
    await world.maintain()
    expect(world.received).toHaveLength(0)
    for (let days = 0; days < 31; days += 0.5) {
      await world.clock.advance(day / 2)
      await world.maintain()
    }

    expect(await world.came(3)).toBeDefined()
    expect(world.received.map(({ type, data }) => [type, data['days']])).toEqual([
      ['credential.ends_soon', 30],
      ['credential.ends_soon', 7],
      ['credential.ends_soon', 1],
    ])
    expect(world.received[0]?.data).toMatchObject({ credential: 'team', ends_at: '2027-02-15T08:00:00Z' })
  })

  test('once that a token ends soon whose end moves with each use', async () => {
    const world = await createWorld()
    world.route(tokenUrl, () => token({ refresh_token_expires_in: 20 * 86_400 }))
    for (let days = 0; days < 10; days += 1) {
      await world.ask()
      await world.maintain()
      await world.clock.advance(day)
    }

    expect(await world.came(1)).toMatchObject({ type: 'credential.ends_soon', data: { days: 30 } })
    expect(world.received).toHaveLength(1)
  })

  test('that a rotation is stuck, and that it is done', async () => {
    const world = await createWorld()
    world.route(tokenUrl, invalidGrant)
    const brought = { as: 'ops', body: world.newSecret('1//the-next-one') } as const
    expect((await world.call('POST /v1/admin/credentials/team/versions', brought)).status).toBe(201)
    for (let minutes = 0; minutes < 80; minutes += 10) {
      await world.clock.advance(600_000)
      await world.maintain()
    }
    const stuck = await world.came(1)
    world.route(tokenUrl, () => token())
    for (let minutes = 0; minutes < 60; minutes += 10) {
      await world.clock.advance(600_000)
      await world.maintain()
    }
    const done = await world.came(2)

    expect(stuck).toMatchObject({ type: 'rotation.stuck', data: { credential: 'team', step: 'prove' } })
    expect(done).toMatchObject({ type: 'rotation.done', data: { credential: 'team' } })
    expect(world.received).toHaveLength(2)
  })

  test('who used the kill switch, and who replaced the policy', async () => {
    const world = await createWorld()
    const { document, etag } = await world.policyNow()
    await world.call('POST /v1/admin/service:stop', { as: 'deputy' })
    await world.came(1)
    await world.call('POST /v1/admin/service:resume', { as: 'ops' })
    await world.came(2)
    const headers = { 'content-type': 'application/yaml', 'if-match': etag }
    const applied = await world.call('PUT /v1/admin/policy', { as: 'ops', body: `${document}\n`, headers })
    await world.came(3)

    expect(applied.status).toBe(200)
    expect(world.received).toMatchObject([
      { type: 'kill_switch.used', data: { action: 'service.stop', by: 'deputy/deputy' } },
      { type: 'kill_switch.used', data: { action: 'service.resume', by: 'ops/ops' } },
      { type: 'policy.replaced', data: { by: 'ops/ops', former_revision: 'first' } },
    ])
  })

  test('T34: that administrators are refused often', async () => {
    const world = await createWorld()
    const forged = { headers: { authorization: 'Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA' } }
    for (let index = 0; index < 45; index += 1) await world.call('GET /v1/admin/whoami', forged)

    expect(await world.came(1)).toMatchObject({ type: 'sign_in.refused_often', data: { count: 20 } })
    await world.maintain()
    expect(world.received).toHaveLength(1)
  })
})

test('P34: a receiver that never answers makes no token request wait', async () => {
  const world = await createWorld()
  world.route(url, () => new Promise(() => undefined))
  world.route(tokenUrl, invalidGrant)
  expect((await world.ask()).status).toBe(400)
  await vi.waitFor(() => expect(world.requests.some((request) => request.url === url)).toBe(true))
  world.route(tokenUrl, () => token())
  await world.clock.advance(60_000)

  const statuses = [(await world.ask()).status, (await world.ask(1)).status]

  expect(statuses).toEqual([200, 200])
})

test('events are listed for whoever has a role, with what came of their delivery', async () => {
  const world = await createWorld()
  await world.call('POST /v1/admin/service:stop', { as: 'ops' })
  await world.came(1)
  await world.clock.advance(1_000)
  await world.call('POST /v1/admin/service:resume', { as: 'ops' })
  await world.came(2)
  await vi.waitFor(async () => {
    const all = await world.call('GET /v1/admin/events?limit=1', { as: 'ops' })
    const page = (await all.json()) as { readonly events: readonly object[]; readonly next_after: string }
    const next = await world.call(`GET /v1/admin/events?after=${page.next_after}`, { as: 'ops' })
    expect([...page.events, ...((await next.json()) as typeof page).events]).toMatchObject([
      { id: world.received[1]?.id, delivery: { state: 'delivered', attempts: 1 } },
      { id: world.received[0]?.id, delivery: { state: 'delivered', attempts: 1 } },
    ])
  })
  const tested = await world.call('POST /v1/admin/events:test', { as: 'ops' })
  const service = await world.call('GET /v1/admin/service', { as: 'ops' })
  const shown = await service.text()

  expect(await tested.json()).toMatchObject({ receiver: 'hooks.acme.example', delivered: true })
  expect((await world.call('GET /v1/admin/events', { as: 'billing' })).status).toBe(403)
  expect((await world.call('GET /v1/admin/events?after=x', { as: 'ops' })).status).toBe(400)
  // T33: doctor shows this.
  expect(shown).toContain('"DOWNSCOPE_WEBHOOK_URL":"hooks.acme.example"')
  expect(shown).not.toContain('secret-path')
})
