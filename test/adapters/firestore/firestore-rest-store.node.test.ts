import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { createFirestoreRestStore } from '../../../src/adapters/firestore/rest/firestore-rest-store.ts'
import { createFirestoreSdkStore } from '../../../src/adapters/firestore/sdk/firestore-sdk-store.ts'
import { createHttpClient } from '../../../src/adapters/system/fetch-http-client.ts'
import { createSystemClock, createEntropy } from '../../../src/adapters/system/clock-and-entropy.ts'
import { later, seconds } from '../../../src/domain/time.ts'
import type { DocumentStore } from '../../../src/ports/document-store.ts'
import { awaitSignOfLife, patientMs } from '../../support/sign-of-life.ts'
import { startLosingProxy } from '../../support/losing-proxy.ts'
import { must } from '../document-store-contract/scene.ts'
import { describeFirestoreOutages } from './outage-contract.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const unavailable: unknown = expect.objectContaining({ code: 'store_unavailable' })
const clock = createSystemClock()

describe.skipIf(emulatorHost === undefined)('with the emulator (skipped where there is none)', () => {
  // The first call of a run starts Java.
  beforeAll(async () => {
    const target = { projectId: 'sign-of-life', emulatorHost: emulatorHost ?? '', deadlineMs: patientMs }
    const { store, close } = createFirestoreSdkStore({ ...target, clock })
    await awaitSignOfLife(openRest(target))
    await awaitSignOfLife(store)
    await close()
  })

  describeBothDrivers()
  describeLostAnswers()
})

describeFirestoreOutages({
  open: openRest,
  refused: /^Firestore: it cannot be reached \(UNAVAILABLE: POST http:\/\/127\.0\.0\.1:1\/.*documents:/,
})

function describeBothDrivers(): void {
  const open = (): { readonly rest: DocumentStore; readonly sdk: DocumentStore } => {
    const target = {
      projectId: `p-${crypto.randomUUID()}`,
      emulatorHost: emulatorHost ?? '',
      deadlineMs: patientMs,
    }
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
