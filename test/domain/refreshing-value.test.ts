import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { byAge, createRefreshingValue, type RefreshingValueDeps } from '../../src/domain/refreshing-value.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const bounds = {
  freshness: byAge({ freshMs: 5_000, staleMs: 60_000 }),
  deadlineMs: 2_000,
  pauseMs: 2_000,
}

function createWorld({
  sharesWork = true,
  ...change
}: { readonly sharesWork?: boolean } & Partial<RefreshingValueDeps<string>> = {}) {
  const clock = createFakeClock()
  const source = {
    value: 'first',
    reads: 0,
    isDown: false,
    takesMs: 0,
    read: async () => {
      source.reads += 1
      if (source.takesMs > 0) await clock.sleep(source.takesMs)
      if (source.isDown) throw new BrokerError('store_unavailable', { reason: 'down' })
      return source.value
    },
  }
  const value = createRefreshingValue({ read: source.read, clock, ...bounds, ...change, sharesWork })
  return { clock, source, value, ...value }
}

describe('a value kept current', () => {
  it('is read once while it is fresh, and without waiting', async () => {
    const { current, source } = createWorld()
    await current()
    source.value = 'second'
    expect(current()).toBe('first')
    expect(source.reads).toBe(1)
  })

  it('is read again by the first who finds it too old, also after a long idle time', async () => {
    const { current, source, clock } = createWorld()
    await current()
    source.value = 'second'
    await clock.advance(3_600_000)
    expect(await current()).toBe('second')
  })

  it('shares one read among all who wait for it', async () => {
    const { current, source } = createWorld()
    await Promise.all([current(), current(), current()])
    expect(source.reads).toBe(1)
  })

  it('lets each request read for itself where they must not wait for one another', async () => {
    const { current, source } = createWorld({ sharesWork: false })
    await Promise.all([current(), current(), current()])
    expect(source.reads).toBe(3)
    expect(current()).toBe('first')
  })

  it('serves the last value while the source is down, asking again only every 2 s', async () => {
    const { current, source, clock } = createWorld()
    await current()
    source.isDown = true
    await clock.advance(5_001)
    expect(await current()).toBe('first')
    expect(current()).toBe('first')
    expect(source.reads).toBe(2)
    await clock.advance(2_001)
    source.isDown = false
    source.value = 'second'
    expect(await current()).toBe('second')
  })

  it('serves nothing older than its bound', async () => {
    const { current, source, clock } = createWorld()
    await current()
    source.isDown = true
    await clock.advance(60_001)
    await expect(current()).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('a source that hangs counts as down after the deadline', async () => {
    const { current, source, clock } = createWorld()
    await current()
    source.takesMs = 3_600_000
    await clock.advance(5_001)
    const asked = current()
    await clock.advance(2_000)
    expect(await asked).toBe('first')
  })

  it('P36: read again after a change, serves the old value to nobody, also not by a read that began before', async () => {
    const { current, readAgain, source, clock } = createWorld()
    await current()
    source.takesMs = 1_000
    await clock.advance(5_001)
    const waiting = current()
    await clock.advance(500)
    source.value = 'second'
    const again = readAgain()
    await clock.advance(3_000)
    await again

    expect(current()).toBe('second')
    expect(await waiting).toBe('second')
  })

  it('P36: read again while the source is down, throws until it can be read', async () => {
    const { current, readAgain, source } = createWorld()
    await current()
    source.isDown = true
    await readAgain()
    await expect(current()).rejects.toMatchObject({ code: 'store_unavailable' })
    source.isDown = false
    expect(await current()).toBe('first')
  })

  it('a bug in the reader is never covered by an old value', async () => {
    const { clock } = createWorld()
    let reads = 0
    const read = async () => {
      await Promise.resolve()
      reads += 1
      if (reads > 1) throw new TypeError('a bug')
      return 'first'
    }
    const { current } = createRefreshingValue({ read, clock, ...bounds, sharesWork: true })
    await current()
    await clock.advance(5_001)
    await expect(current()).rejects.toBeInstanceOf(TypeError)
  })

  it('that is due is read by one request, and the others go on with what there is', async () => {
    const { current, source, clock } = createWorld({
      freshness: byAge({ freshMs: 5_000, dueMs: 60_000, staleMs: 60_000 }),
    })
    await current()
    source.takesMs = 1_000
    source.value = 'second'
    await clock.advance(5_000)
    const reader = current()
    expect([current(), current()]).toEqual(['first', 'first'])
    expect(source.reads).toBe(2)
    await clock.advance(1_000)
    expect([await reader, current()]).toEqual(['second', 'second'])
  })

  it('is read by another request when whoever began does not report', async () => {
    const { current, source, clock } = createWorld({
      freshness: byAge({ freshMs: 5_000, dueMs: 60_000, staleMs: 60_000 }),
      sharesWork: false,
    })
    await current()
    source.takesMs = 3_600_000
    await clock.advance(5_000)
    const lost = current()
    source.takesMs = 0
    source.value = 'second'
    await clock.advance(1_999)
    expect(current()).toBe('first')
    await clock.advance(1)
    expect([await lost, current()]).toEqual(['first', 'first'])
    await clock.advance(2_000)
    expect(await current()).toBe('second')
  })

  it('costs one request the wait for a source that hangs on', async () => {
    const { current, source, clock } = createWorld()
    await current()
    source.takesMs = 3_600_000
    await clock.advance(5_000)
    const first = current()
    await clock.advance(2_000)
    await first
    await clock.advance(2_000)
    const second = current()
    expect(current()).toBe('first')
    await clock.advance(2_000)
    expect(await second).toBe('first')
    expect(source.reads).toBe(3)
  })

  it('that was never had fails again in the pause, where the failure is remembered', async () => {
    const { value, source, clock } = createWorld({ remembersFailure: true })
    source.isDown = true
    await expect(value.current()).rejects.toMatchObject({ reason: 'down' })
    source.isDown = false
    await clock.advance(1_999)
    await expect(value.current()).rejects.toMatchObject({ reason: 'down' })
    await expect(value.refresh()).rejects.toMatchObject({ reason: 'down' })
    expect(source.reads).toBe(1)
    await clock.advance(1)
    expect(await value.current()).toBe('first')
  })

  it('that was dropped does not cover the failure of the next read', async () => {
    const { value, source, clock } = createWorld()
    value.set('made here')
    expect([value.current(), value.peek()]).toEqual(['made here', 'made here'])
    source.isDown = true
    await clock.advance(5_000)
    expect(await value.current()).toBe('made here')
    value.drop()
    expect(value.peek()).toBeUndefined()
    await expect(value.current()).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('is read anew on demand, by one read for all who demand it at once; a failure is theirs', async () => {
    const { value, source } = createWorld()
    await value.current()
    source.value = 'second'
    expect(await Promise.all([value.refresh(), value.refresh()])).toEqual(['second', 'second'])
    expect(source.reads).toBe(2)
    source.isDown = true
    await expect(value.refresh()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(value.current()).toBe('second')
  })
})
