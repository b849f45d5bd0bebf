import { beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { softwareVersion } from '../../src/domain/version.ts'
import { createBrokerWorld, type BrokerWorld } from '../support/broker-world.ts'

const policyShown = z.object({ document: z.string() })
const ifFirst = { 'if-match': '"first"' }

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
  await world.enrol()
})

const statuses = async () => [(await world.ask(0)).status, (await world.ask(1)).status]

describe('the kill switch', () => {
  it('P26: stops every instance within 10 s, tokens in memory included, and lets go again', async () => {
    expect(await statuses()).toEqual([200, 200])
    const stopped = await world.call('POST /v1/admin/service:stop', { as: 'ops' })
    expect(await stopped.json()).toEqual({
      stopped: { by: 'ops/ops', since: '2027-01-15T08:00:00Z' },
      everywhere_by: '2027-01-15T08:00:10Z',
    })
    await world.clock.advance(10_000)
    expect(await statuses()).toEqual([503, 503])
    await world.call('POST /v1/admin/service:resume', { as: 'ops' })
    await world.clock.advance(10_000)
    expect(await statuses()).toEqual([200, 200])
    expect(world.minted()).toBe(1)
  })

  it('P36: stops the instance that answered before the answer leaves, and lets go there too', async () => {
    expect(await statuses()).toEqual([200, 200])
    const stopped = await world.call('POST /v1/admin/service:stop', { as: 'ops' })
    expect(stopped.status).toBe(200)
    expect((await world.ask(0)).status).toBe(503)
    await world.call('POST /v1/admin/service:resume', { as: 'ops' })
    expect((await world.ask(0)).status).toBe(200)
  })

  it('P36: a credential, and a caller, that is switched off is off at once where it was switched', async () => {
    const billing = { issuer: 'billing', subject: 'billing' }
    const acts = [
      ['POST /v1/admin/credentials/team:disable', 'POST /v1/admin/credentials/team:enable'],
      ['POST /v1/admin/callers:revoke', 'POST /v1/admin/callers:restore'],
    ] as const
    for (const [off, on] of acts) {
      const body = off.includes('callers') ? { body: billing } : {}
      expect((await world.ask(0)).status).toBe(200)
      await world.call(off, { as: 'ops', ...body })
      expect((await world.ask(0)).status).toBe(400)
      await world.call(on, { as: 'ops', ...body })
    }
    expect((await world.ask(0)).status).toBe(200)
    await world.call('POST /v1/admin/credentials/team:revoke', { as: 'ops' })
    expect((await world.ask(0)).status).toBe(400)
  })

  it('answers callers as any outage does, with a time to wait, and the record says who did it', async () => {
    await world.call('POST /v1/admin/service:stop', { as: 'ops' })
    await world.clock.advance(10_000)
    const answer = await world.ask()
    expect(answer.headers.get('retry-after')).toBe('30')
    expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' })
    expect(world.audits.at(-1)).toMatchObject({
      caller: 'billing',
      outcome: 'refused',
      error: 'service_stopped',
      reason: '"ops/ops" stopped the service',
    })
  })

  it('leaves administration and readiness as they are, and both say that it is stopped', async () => {
    await world.call('POST /v1/admin/service:stop', { as: 'ops' })
    await world.clock.advance(10_000)
    const ready = await world.call('GET /readyz')
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'ok', stopped: true }),
    ])
    const status = await world.call('GET /v1/admin/service', { as: 'ops', at: 1 })
    expect(await status.json()).toMatchObject({ stopped: { by: 'ops/ops' }, store: { status: 'ok' } })
  })

  it('is pulled twice and put back twice without harm, and the first time stays', async () => {
    const act = async (verb: string) =>
      (await world.call(`POST /v1/admin/service:${verb}`, { as: 'ops' })).json()
    const first = await act('stop')
    await world.clock.advance(60_000)
    expect(await act('stop')).toEqual(first)
    expect([await act('resume'), await act('resume')]).toEqual([{}, {}])
  })

  it('an instance that never could read it serves nothing', async () => {
    world.store.down = true
    await world.clock.advance(60_000)
    expect((await world.ask(1)).status).toBe(503)
  })
})

describe('a blocked caller', () => {
  const billing = { issuer: 'billing', subject: 'billing' }

  it('P26: gets no token on any instance within 10 s; others do, and so does the caller after it is restored', async () => {
    expect(await statuses()).toEqual([200, 200])
    const blocked = await world.call('POST /v1/admin/callers:revoke', { as: 'ops', body: billing })
    expect(await blocked.json()).toEqual({ ...billing, by: 'ops/ops', since: '2027-01-15T08:00:00Z' })
    await world.clock.advance(10_000)
    expect(await statuses()).toEqual([400, 400])
    expect((await world.ask(1, 'reports')).status).toBe(200)
    expect((await world.call('POST /v1/admin/callers:restore', { as: 'ops', body: billing })).status).toBe(
      204,
    )
    await world.clock.advance(10_000)
    expect(await statuses()).toEqual([200, 200])
  })

  it('P12: is answered as one whom no rule knows, and the record says the reason', async () => {
    await world.call('POST /v1/admin/callers:revoke', { as: 'ops', body: billing })
    await world.clock.advance(10_000)
    const said = async (name: 'billing' | 'deputy') =>
      (await (await world.ask(0, name)).text()).replace(/; request id [0-9a-f-]{36}/, '')
    const blocked = await said('billing')
    const reason = world.audits.at(-1)?.reason
    expect(await said('deputy')).toBe(blocked)
    expect(reason).toBe('"billing" of "billing" is blocked, by "ops/ops"')
  })

  it('administers nothing, and nobody can block themselves', async () => {
    const deputy = { issuer: 'deputy', subject: 'deputy' }
    expect((await world.call('POST /v1/admin/callers:revoke', { as: 'deputy', body: deputy })).status).toBe(
      409,
    )
    await world.call('POST /v1/admin/callers:revoke', { as: 'ops', body: deputy })
    await world.clock.advance(10_000)
    const refused = await world.call('POST /v1/admin/callers:restore', { as: 'deputy', body: deputy, at: 1 })
    expect(refused.status).toBe(403)
    const list = await world.call('GET /v1/admin/callers', { as: 'ops' })
    expect(await list.json()).toMatchObject({ callers: [{ subject: 'deputy' }] })
  })

  it('may be anybody but an admin where an operator blocks', async () => {
    await makeDeputyAnOperator()
    const block = (body: object) => world.call('POST /v1/admin/callers:revoke', { as: 'deputy', body })
    expect((await block({ issuer: 'ops', subject: 'ops' })).status).toBe(403)
    expect(world.audits.at(-1)).toMatchObject({
      error: 'admin_forbidden',
      target: 'ops/ops',
      reason: '"deputy" of "deputy" is only operator, and this needs admin',
    })
    expect((await block(billing)).status).toBe(200)
  })

  it('of an issuer that policy does not know is a mistake, and not a block that does nothing', async () => {
    const answer = await world.call('POST /v1/admin/callers:revoke', {
      as: 'ops',
      body: { ...billing, issuer: 'bil1ing' },
    })
    expect(answer.status).toBe(422)
    expect(await answer.text()).toContain('bil1ing')
  })
})

describe('the store in the admin API', () => {
  it('T38: an operator neither reads nor fills it, and each try is audited', async () => {
    await makeDeputyAnOperator()
    const exported = await (await world.call('GET /v1/admin/store', { as: 'ops' })).text()
    const headers = { 'content-type': 'application/jsonl' }
    const tries = [
      ['GET /v1/admin/store', 'store.export', {}],
      ['POST /v1/admin/store?check=true', 'store.import', { headers, body: exported }],
      ['POST /v1/admin/store', 'store.import', { headers, body: exported }],
    ] as const
    for (const [line, action, request] of tries) {
      const refused = await world.call(line, { as: 'deputy', ...request })
      expect([refused.status, await refused.text()]).toEqual([
        403,
        expect.not.stringContaining('credentials/'),
      ])
      expect(world.audits.at(-1)).toMatchObject({
        action,
        outcome: 'refused',
        error: 'admin_forbidden',
        reason: '"deputy" of "deputy" is only operator, and this needs admin',
      })
    }
    // Nothing was imported: an import stops the service.
    expect(await statuses()).toEqual([200, 200])
    expect((await world.call('POST /v1/admin/store', { as: 'ops', headers, body: exported })).status).toBe(
      200,
    )
    expect(world.audits.at(-1)).toMatchObject({ action: 'store.import', outcome: 'done', caller: 'ops' })
  })
})

describe('the status of the service', () => {
  it('P23: shows what it stands on and its settings, and no secret', async () => {
    const answer = await world.call('GET /v1/admin/service', { as: 'ops' })
    const text = await answer.text()
    expect(JSON.parse(text)).toMatchObject({
      version: softwareVersion,
      time: '2027-01-15T08:00:00Z',
      issuer: 'https://tokens.acme.example',
      blocked_callers: 0,
      policy: { status: 'ok', revision: 'first', origin: 'store version 1' },
      settings: { DOWNSCOPE_STORE: 'memory:', DOWNSCOPE_KEY_RING: 'local: (keys k1)' },
    })
    expect(text).not.toContain(btoa('k'.repeat(32)))
  })
})

async function makeDeputyAnOperator(): Promise<void> {
  const read = await world.call('GET /v1/admin/policy', { as: 'ops' })
  const policy = z.looseObject({}).parse(JSON.parse(policyShown.parse(await read.json()).document))
  const only = (who: string) => [{ issuer: who, subject: who }]
  const admins = [
    { callers: only('ops'), role: 'admin' },
    { callers: only('deputy'), role: 'operator' },
  ]
  await world.call('PUT /v1/admin/policy', { as: 'ops', headers: ifFirst, body: { ...policy, admins } })
  await world.clock.advance(10_000)
}
