import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { redactTokens } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import type { Fact } from '../../src/domain/event.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createEvents, type EventsDeps } from '../../src/events/events.ts'
import { createEventRecords } from '../../src/records/events.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { answer, createRoutedHttp, failure, type Route } from '../support/routed-http.ts'
import { createSequence, quickDigest } from '../support/sequence.ts'
import { readWebhook, webhookSecret, type ReceivedWebhook } from '../support/webhook-verifier.ts'

const path = 'services/T0/the-path-is-secret'
const url = `https://hooks.acme.example/${path}?key=the-query-is-secret`

/** Instances on one store and one clock, and a strict receiver. */
function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const routed = createRoutedHttp()
  const { log, lines } = createLogBook()
  const background = createAwaitableBackground()
  const received: ReceivedWebhook[] = []
  const world = {
    clock,
    store,
    lines,
    received,
    requests: routed.requests,
    /** What the receiver answers to what is right. */
    answers: (() => answer('', 204)) as Route,
    settled: background.settled,
    addInstance: (changes: Partial<EventsDeps> = {}) =>
      createEvents({
        records: createEventRecords({ store, clock, sha256: quickDigest }),
        receiver: { url, secret: new Secret(webhookSecret), mustBePublic: true },
        http: routed.http,
        background,
        clock,
        entropy: createSequence(),
        log,
        redact: redactTokens,
        sharesWork: true,
        ...changes,
      }),
    /** Time passes, and whatever begins then is awaited. */
    pass: async (seconds: number) => {
      await clock.advance(seconds * 1000)
      await background.settled()
    },
    told: () => lines.filter(({ fields }) => 'event' in fields).map(({ fields }) => fields['event']),
  }
  routed.route(url, async (request) => {
    received.push(await readWebhook(request))
    return world.answers(request)
  })
  return world
}

let count = 0

function broken(credential = 'reports-sa', reason = 'invalid_grant'): Fact {
  count += 1
  return { type: 'credential.broken', key: [credential, String(count)], data: { credential, reason } }
}

const stop: Fact = { type: 'kill_switch.used', key: ['r1'], data: { action: 'service.stop', by: 'ops/ops' } }

describe('an event', () => {
  test('is one log line, one record and one webhook of one shape', async () => {
    const world = createWorld()
    const events = world.addInstance()

    await events.emit(broken())
    await world.settled()

    const data = { credential: 'reports-sa', reason: 'invalid_grant' }
    const message = { type: 'credential.broken', timestamp: '2027-01-15T08:00:00Z', data }
    const [sent] = world.received
    expect(JSON.parse(sent?.body ?? '')).toEqual(message)
    expect(world.told()).toEqual([{ id: sent?.id, ...message }])
    expect((await events.list({ limit: 10 })).events).toEqual([
      {
        id: sent?.id,
        type: 'credential.broken',
        at: 1_800_000_000,
        data,
        delivery: { state: 'delivered', attempts: 1 },
      },
    ])
  })

  test('without a receiver is a log line and a record', async () => {
    const world = createWorld()
    const events = world.addInstance({ receiver: undefined })

    await events.emit(stop)
    await events.deliver()

    expect(world.told()).toHaveLength(1)
    expect(world.received).toHaveLength(0)
    expect((await events.list({ limit: 10 })).events).toMatchObject([{ type: 'kill_switch.used' }])
    await expect(events.test()).rejects.toMatchObject({ code: 'not_supported' })
  })

  test('that several instances notice at once is one', async () => {
    const world = createWorld()
    const fact = broken()

    await Promise.all([1, 2, 3].map(() => world.addInstance().emit(fact)))
    await world.settled()
    await world.pass(600)
    await world.addInstance().emit(fact)
    await world.settled()

    expect(world.told()).toHaveLength(1)
    expect(world.received).toHaveLength(1)
  })

  test('that two instances notice at once is one although their clocks disagree', async () => {
    const world = createWorld()
    const { store, clock } = world
    const ahead = { now: () => later(clock.now(), seconds(5)) }
    const records = createEventRecords({ store, clock: ahead, sha256: quickDigest })
    const fact = broken()

    await Promise.all([world.addInstance().emit(fact), world.addInstance({ records }).emit(fact)])
    await world.settled()

    expect(world.told()).toHaveLength(1)
    expect((await records.list({ limit: 10 })).events).toHaveLength(1)
  })

  test.each([0, 1, 2, 3])('is complete although its instance ends after write %i', async (writes) => {
    const world = createWorld()
    const fact = broken()
    let left = writes
    world.store.before = async (operation) => {
      if (operation === 'put') world.store.down = left === 0
      left -= operation === 'put' ? 1 : 0
    }
    await world.addInstance({ background: createAwaitableBackground(false) }).emit(fact)
    world.store.down = false
    world.store.before = () => Promise.resolve()

    const events = world.addInstance()
    await events.emit(fact)
    await world.settled()
    await events.deliver()

    expect((await events.list({ limit: 10 })).events).toHaveLength(1)
    expect(world.received).toHaveLength(1)
  })

  test('keeps no token that is in its reason', async () => {
    const world = createWorld()
    const events = world.addInstance()

    await events.emit(broken('reports-sa', 'upstream said ya29.a0AfB_byCanaryCanary'))
    await world.settled()

    expect(world.received[0]?.body).toContain('upstream said [cut]')
    const everything = [world.lines, await world.store.list({ prefix: 'events/', limit: 10 })]
    expect(JSON.stringify(everything)).not.toContain('Canary')
  })

  test('that the store does not take is one line in the log', async () => {
    const world = createWorld()
    world.store.down = true

    await world.addInstance().emit(stop)

    expect(world.lines).toMatchObject([
      { level: 'warn', message: 'an event was not recorded', fields: { type: 'kill_switch.used' } },
    ])
  })

  test('is listed newest first, page by page, whatever else lies among them', async () => {
    const world = createWorld()
    const events = world.addInstance({ receiver: undefined })
    for (const name of ['a', 'b', 'c']) {
      await events.emit(broken(name))
      await world.pass(1)
    }
    await world.store.put('events/at-998200000000-evt_damaged', { schema: 1 })

    const first = await events.list({ limit: 2 })
    const second = await events.list({ limit: 2, after: first.next ?? '' })

    expect(first.events.map(({ data }) => data.credential)).toEqual(['c', 'b'])
    expect(second.events.map(({ data }) => data.credential)).toEqual(['a'])
  })
})

describe('a webhook', () => {
  test('P34: is sent again by itself with the same id until it is taken', async () => {
    const world = createWorld()
    const failures = [answer('', 500), answer('', 429), failure('timeout'), failure('too_large')]
    world.answers = () => failures.shift() ?? answer('', 204)

    await world.addInstance().emit(broken())
    await world.settled()
    const counts = [world.received.length]
    for (const pause of [59, 1, 300, 1_800, 7_200, 86_400]) {
      await world.pass(pause)
      counts.push(world.received.length)
    }

    expect(counts).toEqual([1, 1, 2, 3, 4, 5, 5])
    expect(new Set(world.received.map(({ id }) => id)).size).toBe(1)
  })

  test('is given up after eight attempts, with a line in the log, and the next one of its credential goes on', async () => {
    const world = createWorld()
    const events = world.addInstance()
    world.answers = ({ body = '' }) => answer('', body.includes('poison') ? 500 : 200)

    await events.emit(broken('a', 'poison'))
    await world.settled()
    await world.pass(1)
    await events.emit(broken('a', 'second'))
    for (const pause of [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400]) await world.pass(pause)
    await world.pass(60)

    expect(world.received.map(({ data }) => data['reason'])).toEqual([
      ...Array.from({ length: 8 }, () => 'poison'),
      'second',
    ])
    expect((await events.list({ limit: 10 })).events.map(({ delivery }) => delivery)).toEqual([
      { state: 'delivered', attempts: 1 },
      { state: 'given_up', attempts: 8, reason: 'hooks.acme.example answered 500' },
    ])
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'an event was not delivered and is given up',
      }),
    )
  })

  test('waits for an earlier one of its credential, and for no other', async () => {
    const world = createWorld()
    const events = world.addInstance()
    let isAngry = true
    world.answers = ({ body = '' }) => answer('', isAngry && body.includes('"a"') ? 503 : 200)

    await events.emit(broken('a', 'first'))
    await world.settled()
    await world.pass(1)
    await events.emit(broken('a', 'second'))
    await events.emit(broken('b'))
    await world.settled()
    expect(world.received.map(({ data }) => data['credential'])).toEqual(['a', 'b'])
    isAngry = false
    await world.pass(59)
    await world.pass(60)

    expect(world.received.map(({ data }) => data['reason']).slice(2)).toEqual(['first', 'second'])
  })

  test('P34: that nobody answers costs one attempt a pass and one line, however many wait', async () => {
    const world = createWorld()
    world.answers = () => failure('timeout')
    const events = world.addInstance({ background: createAwaitableBackground(false) })
    for (let index = 0; index < 50; index += 1) await events.emit(broken(`sa-${index}`))

    await events.deliver()
    await events.deliver()

    expect(world.received).toHaveLength(2)
    expect(world.lines.filter(({ message }) => message.startsWith('the webhook'))).toHaveLength(1)
  })

  test('arrives once although two instances send at once, and again where one of them was cut off', async () => {
    const world = createWorld()
    const quiet = { background: createAwaitableBackground(false) }
    const [one, other] = [world.addInstance(quiet), world.addInstance(quiet)]
    for (const name of ['a', 'b', 'c']) await one.emit(broken(name))

    await Promise.all([one.deliver(), other.deliver()])
    await world.pass(600)
    await other.deliver()
    expect(world.received).toHaveLength(3)

    await one.emit(broken('d'))
    world.answers = () => Promise.reject(new Error('the process ended'))
    await expect(one.deliver()).rejects.toThrow('the process ended')
    world.answers = () => answer('', 200)
    await other.deliver()
    expect(world.received).toHaveLength(4)
    await world.pass(60)
    await other.deliver()

    const [, , , cut, again] = world.received
    expect(world.received).toHaveLength(5)
    expect(again?.id).toBe(cut?.id)
  })

  test('is sent again with maintenance alone where nothing goes on between requests', async () => {
    const world = createWorld()
    const events = world.addInstance({ sharesWork: false })
    world.answers = () => answer('', 500)
    await events.emit(stop)
    await world.pass(3_600)
    expect(world.received).toHaveLength(1)

    world.answers = () => answer('', 200)
    await events.deliver()

    expect(world.received).toHaveLength(2)
  })

  test('is sent by the next instance where the last one ended, and after a while without a store', async () => {
    const world = createWorld()
    await world.addInstance({ background: createAwaitableBackground(false) }).emit(broken())
    world.store.down = true
    const { run, settled } = createAwaitableBackground()
    const failures: unknown[] = []
    const logging = (work: () => Promise<void>) =>
      run(() => work().catch((error: unknown) => void failures.push(error)))
    world.addInstance({ background: { runsAfterAnswer: true, run: logging } })

    await world.pass(60)
    await settled()
    world.store.down = false
    await world.pass(60)
    await settled()

    expect(failures).toMatchObject([{ code: 'store_unavailable' }])
    expect(world.received).toHaveLength(1)
  })

  test('of more than one page is sent in one pass, behind those whose time has not come', async () => {
    const world = createWorld()
    const events = world.addInstance({ background: createAwaitableBackground(false) })
    let isAngry = true
    world.answers = () => answer('', isAngry ? 500 : 200)
    for (let index = 0; index < 501; index += 1) await events.emit(broken(`old-${index}`))
    await events.deliver()
    isAngry = false
    await world.pass(1)
    for (let index = 0; index < 501; index += 1) await events.emit(broken(`new-${index}`))

    await events.deliver()

    expect(world.received).toHaveLength(1_002)
    expect(await world.store.list({ prefix: 'events/due-', limit: 1_000 })).toHaveLength(501)
  })

  test('T33: shows as its host, in the log and wherever an event is read', async () => {
    const world = createWorld()
    const events = world.addInstance()
    world.answers = () => answer('', 500)
    await events.emit(stop)
    await world.settled()

    const shown = JSON.stringify([world.lines, await events.list({ limit: 10 }), await events.test()])

    expect(shown).toContain('hooks.acme.example answered 500')
    expect(shown).not.toContain(path)
    expect(shown).not.toContain('the-query-is-secret')
    expect(shown).not.toContain(webhookSecret)
  })

  test('T34: goes to a public address and asks for a short answer', async () => {
    const world = createWorld()
    await world.addInstance().emit(stop)
    await world.settled()

    expect(world.requests).toMatchObject([
      { webhook: { mustBePublic: true }, timeoutMs: 5_000, maxBytes: 16_384 },
    ])
  })

  test('can be tried, and leaves nothing', async () => {
    const world = createWorld()
    const events = world.addInstance()

    expect(await events.test()).toEqual({ id: world.received[0]?.id, receiver: 'hooks.acme.example' })

    expect(world.received).toMatchObject([{ type: 'test', data: {} }])
    expect((await events.list({ limit: 10 })).events).toEqual([])
  })
})

describe('the audit trail', () => {
  const record = (changes: Partial<AuditRecord>): AuditRecord => ({
    requestId: 'r1',
    at: createFakeClock().now(),
    action: 'person.sign_in',
    outcome: 'refused',
    durationMs: 1,
    ...changes,
  })

  test('T34: strangers who are refused cause one event an hour, however often and wherever they try', async () => {
    const world = createWorld()
    const trails = [0, 1].map(() => world.addInstance().watchAudit(() => Promise.resolve()))
    const refuse = async (times: number) => {
      for (let index = 0; index < times; index += 1)
        for (const trail of trails)
          await trail(
            record(index % 2 === 0 ? {} : { action: 'admin.whoami', error: 'admin_unauthenticated' }),
          )
      await world.settled()
    }

    await refuse(19)
    expect(world.told()).toHaveLength(0)
    for (let minute = 0; minute < 59; minute += 1) {
      await refuse(10)
      await world.pass(60)
    }
    expect(world.told()).toMatchObject([{ type: 'sign_in.refused_often', data: { count: 20 } }])
    await world.pass(60)
    await refuse(20)

    expect(world.told()).toHaveLength(2)
  })

  test.each([
    [{ action: 'service.stop' }, 'kill_switch.used', { action: 'service.stop', by: 'ops/ann' }],
    [
      { action: 'caller.revoke', target: 'ci/build' },
      'kill_switch.used',
      { action: 'caller.revoke', by: 'ops/ann', caller: 'ci/build' },
    ],
    [
      { action: 'policy.apply', policyRevision: 'r2', formerPolicyRevision: 'r1' },
      'policy.replaced',
      { by: 'ops/ann', revision: 'r2', former_revision: 'r1' },
    ],
  ] as const)('tells of %o', async (changes, type, data) => {
    const world = createWorld()
    const written: AuditRecord[] = []
    const trail = world.addInstance().watchAudit(async (one) => void written.push(one))

    await trail(record({ ...changes, outcome: 'done', issuer: 'ops', caller: 'ann' }))
    await trail(record({ ...changes, outcome: 'refused', issuer: 'ops', caller: 'ann', requestId: 'r2' }))
    await world.settled()

    expect(world.told()).toMatchObject([{ type, data }])
    expect(written).toHaveLength(2)
  })
})
