import { createServer } from 'node:net'

import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'

import { createFirestoreRestStore } from '../../src/adapters/firestore/rest/firestore-rest-store.ts'
import { createFirestoreSdkStore } from '../../src/adapters/firestore/sdk/firestore-sdk-store.ts'
import { createHttpClient } from '../../src/adapters/system/http-client.ts'
import { createSystemClock } from '../../src/adapters/system/system-clock.ts'
import { createEntropy } from '../../src/adapters/system/system-entropy.ts'
import { later, seconds } from '../../src/domain/time.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { startLosingProxy } from '../support/losing-proxy.ts'
import { startFirestoreEmulator, type FirestoreEmulator } from '../support/start-firestore-emulator.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const unavailable: unknown = expect.objectContaining({ code: 'store_unavailable' })
const clock = createSystemClock()

describe.skipIf(emulatorHost === undefined)('with the emulator (skipped where there is none)', () => {
  // The first call of a run starts Java.
  beforeAll(async () => {
    await (await fetch(`http://${emulatorHost}/`)).text()
  })

  describeBothDrivers()
  describeLostAnswers()
})

describe.skipIf(emulatorHost === undefined)('an emulator that hangs (skipped where there is none)', () => {
  let emulator: FirestoreEmulator
  beforeAll(async () => {
    emulator = await startFirestoreEmulator()
    return async () => {
      process.kill(emulator.pid, 'SIGCONT')
      await emulator.stop()
    }
  })

  test('P20: every call settles within the deadline, and the store recovers by itself', async () => {
    const store = openRest({ emulatorHost: emulator.host, deadlineMs: 1500 })
    // A Java that has just started takes its time for the first calls.
    await vi.waitFor(() => store.put('others/kept', { n: 1 }), { timeout: 8000 })

    process.kill(emulator.pid, 'SIGSTOP')
    await expectEveryCallToFailWithin(store, 1500)
    process.kill(emulator.pid, 'SIGCONT')

    // Not one of the documents above: what was asked of them is carried out now, or never.
    await vi.waitFor(async () => expect(await store.get('others/kept')).toBeDefined(), { timeout: 8000 })
    expect(await store.put('others/new', { n: 2 }, { if: 'absent' })).toBeDefined()
  })
})

describe('without any answer', () => {
  test('P20: a server that accepts and says nothing: every call settles within the deadline', async () => {
    const store = openRest({ emulatorHost: await listenSilently(), deadlineMs: 900 })

    await expectEveryCallToFailWithin(store, 900)
  })

  test('P20: the deadline is three seconds unless it is set lower', async () => {
    const store = openRest({ emulatorHost: await listenSilently(), deadlineMs: 60_000 })

    await expectEveryCallToFailWithin(store, 3000)
  })

  test('P20: a refused connection says that Firestore cannot be reached', async () => {
    const store = openRest({ emulatorHost: '127.0.0.1:1' })

    const cannotBeReached: unknown = expect.stringMatching(
      /^Firestore: it cannot be reached \(UNAVAILABLE: POST http:\/\/127\.0\.0\.1:1\/.*documents:/,
    )
    await expect(store.get('things/one')).rejects.toMatchObject({ reason: cannotBeReached })
    await expect(store.put('things/one', {}, { if: 'absent' })).rejects.toMatchObject({
      reason: cannotBeReached,
    })
  })
})

function describeBothDrivers(): void {
  const open = (): { readonly rest: DocumentStore; readonly sdk: DocumentStore } => {
    const target = { projectId: `p-${crypto.randomUUID()}`, emulatorHost: emulatorHost ?? '' }
    const { store: sdk, close } = createFirestoreSdkStore({ ...target, clock })
    onTestFinished(close)
    return { rest: openRest(target), sdk }
  }

  test.each([
    ['rest', 'sdk'],
    ['sdk', 'rest'],
  ] as const)('what %s writes %s reads, replaces and deletes at the same version', async (one, other) => {
    const stores = open()
    const value = { text: 'Größe \u{1F511} \u0000 \uD800 <&>', deep: [[1, { a: null }]] }
    const expiresAt = later(clock.now(), seconds(60))
    const version = must(await stores[one].put('things/..', value, { if: 'absent', expiresAt }))

    const read = await stores[other].get('things/..')
    expect(read).toStrictEqual({ key: 'things/..', value, version, expiresAt })
    expect(await stores[one].get('things/..')).toStrictEqual(read)
    expect(await stores[other].put('things/..', {}, { if: 'absent' })).toBeUndefined()

    const next = must(await stores[other].put('things/..', { n: 2 }, { if: { version } }))
    expect(await stores[one].put('things/..', { n: 3 }, { if: { version } })).toBeUndefined()
    expect(await stores[one].delete('things/..', { version })).toBe(false)
    // Without an expiry: the other driver's is gone.
    expect(await stores[one].get('things/..')).toStrictEqual({
      key: 'things/..',
      value: { n: 2 },
      version: next,
    })
    expect(await stores[one].list({ prefix: 'things/', limit: 5 })).toStrictEqual(
      await stores[other].list({ prefix: 'things/', limit: 5 }),
    )
    expect(await stores[one].delete('things/..', { version: next })).toBe(true)
    expect(await stores[other].get('things/..')).toBeUndefined()
  })

  test('both list the same keys in the same order, page by page', async () => {
    const { rest, sdk } = open()
    const keys = ['v/.', 'v/..', 'v/__a__', 'v/__a__b', 'v/-', 'v/A', 'v/a', 'v/@', 'v/0'].toSorted()
    await Promise.all(keys.map((key, at) => (at % 2 === 0 ? rest : sdk).put(key, { key })))

    expect((await rest.list({ prefix: 'v/', limit: 20 })).map(({ key }) => key)).toStrictEqual(keys)
    for (const after of ['v/', ...keys]) {
      const page = { prefix: 'v/', after, limit: 2 }
      expect(await rest.list(page)).toStrictEqual(await sdk.list(page))
    }
  })

  test('8 writers of both drivers that read, add one and put again lose no count', async () => {
    const { rest, sdk } = open()
    await rest.put('things/one', { count: 0 })
    const addOne = async (store: DocumentStore): Promise<void> => {
      for (;;) {
        const { value, version } = must(await store.get('things/one'))
        const count = Number(value['count']) + 1
        if ((await store.put('things/one', { count }, { if: { version } })) !== undefined) return
      }
    }

    await Promise.all(Array.from({ length: 8 }, (_, n) => addOne(n % 2 === 0 ? rest : sdk)))

    expect((await sdk.get('things/one'))?.value).toStrictEqual({ count: 8 })
  })

  test('P6: of 20 puts of both drivers at once, where there is nothing, exactly one wins', async () => {
    const { rest, sdk } = open()

    const versions = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? rest : sdk).put('r/one', { n }, { if: 'absent' })),
    )

    expect(versions.filter((version) => version !== undefined)).toHaveLength(1)
  })
}

function describeLostAnswers(): void {
  const openBoth = async () => {
    const projectId = `p-${crypto.randomUUID()}`
    const proxy = await startLosingProxy(emulatorHost ?? '')
    onTestFinished(proxy.stop)
    const store = openRest({ emulatorHost: proxy.host, projectId })
    const direct = openRest({ emulatorHost: emulatorHost ?? '', projectId })
    return { proxy, store, direct }
  }

  test.each(['absent', 'version', 'unconditional'] as const)(
    'P6: a put that was done while its answer was lost is known by its nonce, not sent again: %s',
    async (condition) => {
      const { proxy, store, direct } = await openBoth()
      const before = condition === 'absent' ? undefined : await direct.put('things/one', { n: 0 })
      const options = {
        absent: { if: 'absent' },
        version: before === undefined ? {} : { if: { version: before } },
        unconditional: {},
      } as const

      proxy.lose('answer')
      const version = must(await store.put('things/one', { n: 1 }, options[condition]))

      expect(await direct.get('things/one')).toStrictEqual({ key: 'things/one', value: { n: 1 }, version })
      expect(proxy.lost()).toBe(1)
    },
  )

  test('a put whose outcome stays unknown fails and is not sent again', async () => {
    const { proxy, store, direct } = await openBoth()

    proxy.lose('request')
    await expect(store.put('things/one', { n: 1 })).rejects.toEqual(unavailable)

    expect(proxy.lost()).toBe(1)
    expect(await direct.get('things/one')).toBeUndefined()
  })

  test('a put that was done, then overwritten by somebody while its answer was lost, fails', async () => {
    const { proxy, store, direct } = await openBoth()

    proxy.lose('answer')
    proxy.beforeBreaking(() => direct.put('things/one', { n: 2 }))
    await expect(store.put('things/one', { n: 1 }, { if: 'absent' })).rejects.toEqual(unavailable)

    expect(proxy.lost()).toBe(1)
    expect((await direct.get('things/one'))?.value).toStrictEqual({ n: 2 })
  })

  test('a deletion whose answer was lost fails, and is not sent again', async () => {
    const { proxy, store, direct } = await openBoth()
    await direct.put('things/one', { n: 1 })

    proxy.lose('answer')
    await expect(store.delete('things/one')).rejects.toEqual(unavailable)

    expect(proxy.lost()).toBe(1)
    expect(await direct.get('things/one')).toBeUndefined()
  })
}

async function expectEveryCallToFailWithin(store: DocumentStore, deadlineMs: number): Promise<void> {
  const start = performance.now()
  const calls = [
    store.get('things/one'),
    store.put('things/one', {}),
    store.put('things/one', {}, { if: 'absent' }),
    store.delete('things/one'),
    store.list({ prefix: 'things/', limit: 5 }),
  ]

  const results = await Promise.allSettled(calls)

  // The margin is for a slow machine's event loop, not for the store.
  expect(performance.now() - start).toBeLessThan(deadlineMs + 1000)
  expect(results).toStrictEqual(calls.map(() => ({ status: 'rejected', reason: unavailable })))
}

function openRest(target: {
  readonly emulatorHost: string
  readonly projectId?: string
  readonly deadlineMs?: number
}): DocumentStore {
  const projectId = `p-${crypto.randomUUID()}`
  return createFirestoreRestStore({
    projectId,
    ...target,
    http: createHttpClient(),
    clock,
    entropy: createEntropy(),
  })
}

async function listenSilently(): Promise<string> {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return `127.0.0.1:${address.port}`
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value was expected')
  return value
}
