import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { createFirestoreSdkStore } from '../../../src/adapters/firestore/sdk/firestore-sdk-store.ts'
import { createCallDeadlines } from '../../../src/adapters/firestore/sdk/sdk-client.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { awaitSignOfLife, patientMs } from '../../support/sign-of-life.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { describeDocumentStore } from '../document-store-contract.ts'
import { must } from '../document-store-contract/scene.ts'
import { describeFirestoreLayout } from './layout-contract.ts'
import { describeFirestoreOutages } from './outage-contract.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const unavailable: unknown = expect.objectContaining({ code: 'store_unavailable' })

describe.skipIf(emulatorHost === undefined)('with the emulator (skipped where there is none)', () => {
  // The first call of a run starts Java.
  beforeAll(async () => {
    const { store, close } = createFirestoreSdkStore({
      ...ownProject(),
      emulatorHost: must(emulatorHost),
      deadlineMs: patientMs,
      clock: createFakeClock(),
    })
    await awaitSignOfLife(store)
    await close()
  })

  describeDocumentStore('firestore/sdk', ({ clock }) =>
    createFirestoreSdkStore({
      ...ownProject(),
      emulatorHost: must(emulatorHost),
      deadlineMs: patientMs,
      clock,
    }),
  )

  describeFirestoreLayout((target) => openStore({ ...target, deadlineMs: patientMs }).store)
  describeLostAnswers()

  test('the metadata server is not asked for anything beside an emulator', async () => {
    // The suite's network guard fails this test if it is.
    vi.stubEnv('METADATA_SERVER_DETECTION', undefined)
    const { store } = openStore({ emulatorHost: must(emulatorHost) })

    expect(await store.put('things/one', {})).toBeDefined()
  })
})

describeFirestoreOutages({
  open: (target) => openStore(target).store,
  refused: /^Firestore: it cannot be reached \(UNAVAILABLE: .*ECONNREFUSED/,
})

describe('without the emulator', () => {
  test('P20: what never settles, credentials or the loading of the SDK, ends with its deadline or an outer one', async () => {
    const { within } = createCallDeadlines()
    const never = () => new Promise<never>(() => undefined)
    const late: unknown = expect.objectContaining({
      reason: expect.stringContaining('DEADLINE_EXCEEDED') as string,
    })
    await expect(within(10, never)).rejects.toEqual(late)
    await expect(within(10, () => within(600_000, never))).rejects.toEqual(late)
    expect(await within(60_000, () => Promise.resolve('in time'))).toBe('in time')
  })

  test('a closed store says so', async () => {
    const { store, close } = openStore({ emulatorHost: '127.0.0.1:1' })
    await close()

    await expect(store.get('things/one')).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: 'Firestore: the client could not be used (the store is closed)',
    })
  })

  test('the SDK is loaded by the first call and not before', () => {
    const script = `
      import { createRequire } from 'node:module'
      import { createFirestoreSdkStore } from './src/adapters/firestore/sdk/firestore-sdk-store.ts'
      const isLoaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('@google-cloud/firestore/'))
      const { store, close } = createFirestoreSdkStore({
        projectId: 'p', emulatorHost: '127.0.0.1:1', deadlineMs: 1000, clock: { now: () => 0 },
      })
      const before = isLoaded()
      await store.get('things/one').catch(() => {})
      console.log(before, isLoaded())
      await close()`

    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../../..'),
      encoding: 'utf8',
    })

    expect(stderr).toBe('')
    expect(stdout).toBe('false true\n')
  })
})

function describeLostAnswers(): void {
  const openBoth = async (deadlineMs: number) => {
    const { projectId } = ownProject()
    const proxy = await startTcpProxy(must(emulatorHost))
    onTestFinished(proxy.stop)
    const { store } = openStore({ emulatorHost: proxy.host, projectId, deadlineMs })
    const { store: direct } = openStore({ emulatorHost: must(emulatorHost), projectId })
    // Creates have a connection of their own.
    const connect = [store.get('things/warm'), store.put('warm/one', {}, { if: 'absent' })]
    await Promise.all([...connect, direct.get('things/warm')])
    return { proxy, store, direct }
  }

  test.each(['absent', 'version', 'unconditional'] as const)(
    'P6: a put that was done while its answer was lost is known by its nonce, not sent again: %s',
    async (condition) => {
      const { proxy, store, direct } = await openBoth(3000)
      const before = condition === 'absent' ? undefined : await direct.put('things/one', { n: 0 })
      const options = {
        absent: { if: 'absent' },
        version: before === undefined ? {} : { if: { version: before } },
        unconditional: {},
      } as const

      proxy.swallowAnswers()
      const putting = store.put('things/one', { n: 1 }, options[condition])
      for (;;) if ((await direct.get('things/one'))?.value['n'] === 1) break
      proxy.cut()

      const version = must(await putting)
      expect(await direct.get('things/one')).toStrictEqual({ key: 'things/one', value: { n: 1 }, version })
    },
  )

  test('a put whose outcome stays unknown fails and is not sent again later', async () => {
    const { proxy, store, direct } = await openBoth(600)

    proxy.swallowRequests()
    await expect(store.put('things/one', { n: 1 })).rejects.toEqual(unavailable)
    proxy.cut()

    await vi.waitFor(async () => expect(await store.get('things/warm')).toBeUndefined(), { timeout: 5000 })
    expect(await direct.get('things/one')).toBeUndefined()
  })

  test('closing waits for what is under way, and leaves nothing that would end the process later', async () => {
    const { projectId } = ownProject()
    const proxy = await startTcpProxy(must(emulatorHost))
    onTestFinished(proxy.stop)
    const { store, close } = openStore({ emulatorHost: proxy.host, projectId, deadlineMs: 600 })
    const put = store.put('things/one', { n: 1 })
    const lists = Promise.all([put, store.list({ prefix: 'things/', limit: 5 })])
    await Promise.all([lists, close()])

    const second = openStore({ emulatorHost: proxy.host, projectId, deadlineMs: 600 })
    await second.store.get('things/one')
    proxy.swallowAnswers()
    const calls = [second.store.get('things/one'), second.store.put('things/two', {}), second.close()]
    const results = await Promise.allSettled(calls)

    expect(results.map(({ status }) => status)).toStrictEqual(['rejected', 'rejected', 'fulfilled'])
  })

  test('a put that was done, then overwritten by somebody while its answer was lost, fails', async () => {
    const { proxy, store, direct } = await openBoth(3000)

    proxy.swallowAnswers()
    const putting = store.put('things/one', { n: 1 }, { if: 'absent' })
    const failure = putting.then(
      () => undefined,
      (error: unknown) => error,
    )
    for (;;) if ((await direct.get('things/one')) !== undefined) break
    await direct.put('things/one', { n: 2 })
    proxy.cut()

    expect(await failure).toEqual(unavailable)
    expect((await direct.get('things/one'))?.value).toStrictEqual({ n: 2 })
  })
}

function openStore(target: { emulatorHost: string; projectId?: string; deadlineMs?: number }) {
  const opened = createFirestoreSdkStore({ ...ownProject(), ...target, clock: createFakeClock() })
  onTestFinished(opened.close)
  return opened
}

/** The emulator keeps projects apart: a test of its own project starts empty. */
function ownProject(): { readonly projectId: string } {
  return { projectId: `p-${crypto.randomUUID()}` }
}
