import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'

import { createFirestoreSdkStore } from '../../src/adapters/firestore/sdk/firestore-sdk-store.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { startFirestoreEmulator, type FirestoreEmulator } from '../support/start-firestore-emulator.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { describeDocumentStore } from './document-store-contract.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const unavailable: unknown = expect.objectContaining({ code: 'store_unavailable' })
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

describe.skipIf(emulatorHost === undefined)('with the emulator (skipped where there is none)', () => {
  // The first call of a run starts Java.
  beforeAll(async () => {
    await fetch(`http://${emulatorHost}/`)
  })

  describeDocumentStore('firestore/sdk', ({ clock }) =>
    createFirestoreSdkStore({ ...ownProject(), emulatorHost: must(emulatorHost), clock }),
  )

  describeLayout()
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
    const { store } = openStore({ emulatorHost: emulator.host, deadlineMs: 1500 })
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
    const { store } = openStore({ emulatorHost: await listenSilently(), deadlineMs: 900 })

    await expectEveryCallToFailWithin(store, 900)
  })

  test('P20: the deadline is three seconds unless it is set lower', async () => {
    const { store } = openStore({ emulatorHost: await listenSilently(), deadlineMs: 60_000 })
    const start = performance.now()

    await expect(store.put('things/one', {})).rejects.toMatchObject({ code: 'store_unavailable' })

    expect(performance.now() - start).toBeLessThan(4000)
  })

  test('P20: a refused connection says that Firestore cannot be reached', async () => {
    const { store } = openStore({ emulatorHost: '127.0.0.1:1' })

    await expect(store.get('things/one')).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: matching(/^Firestore: it cannot be reached \(UNAVAILABLE: .*ECONNREFUSED/),
    })
    await expect(store.put('things/one', {}, { if: 'absent' })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
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
      cwd: join(import.meta.dirname, '../..'),
      encoding: 'utf8',
    })

    expect(stderr).toBe('')
    expect(stdout).toBe('false true\n')
  })
})

function describeLayout(): void {
  test('the metadata server is not asked for anything beside an emulator', async () => {
    // The suite's network guard fails this test if it is.
    vi.stubEnv('METADATA_SERVER_DETECTION', undefined)
    const { store } = openStore({ emulatorHost: must(emulatorHost) })

    expect(await store.put('things/one', {})).toBeDefined()
  })

  test('a document is legible JSON beside a timestamp for the TTL policy', async () => {
    const { projectId } = ownProject()
    const { store } = openStore({ emulatorHost: must(emulatorHost), projectId })
    await store.put('things/one', { a: [[1]] }, { expiresAt: epochSeconds(1_800_000_300) })

    const raw: unknown = await (await fetch(rawUrl(projectId, 'things/one'))).json()

    expect(raw).toHaveProperty('fields', {
      json: { stringValue: '{"a":[[1]]}' },
      nonce: { stringValue: matching(/^[0-9a-f-]{36}$/) },
      expiresAt: { timestampValue: '2027-01-15T08:05:00Z' },
    })
  })

  test.each([
    ['without our fields', { note: { stringValue: 'by hand' } }],
    ['with broken JSON', { json: { stringValue: '{' }, nonce: { stringValue: 'n' } }],
    ['with JSON that is no object', { json: { stringValue: '[]' }, nonce: { stringValue: 'n' } }],
    [
      'with another kind of expiry',
      { json: { stringValue: '{}' }, nonce: { stringValue: 'n' }, expiresAt: { stringValue: 'soon' } },
    ],
  ])('P25: a document %s fails its own reads and hides no other', async (_, fields) => {
    const { projectId } = ownProject()
    const { store } = openStore({ emulatorHost: must(emulatorHost), projectId })
    await store.put('things/b', { n: 1 })
    await fetch(rawUrl(projectId, 'things/a'), { method: 'PATCH', body: JSON.stringify({ fields }) })

    const reason = "document things/a is not in the store's own form"
    await expect(store.get('things/a')).rejects.toMatchObject({ code: 'store_unavailable', reason })
    expect((await store.list({ prefix: 'things/', limit: 1 })).map(({ key }) => key)).toStrictEqual([
      'things/b',
    ])
    await store.put('things/a', { n: 2 })
    expect((await store.get('things/a'))?.value).toStrictEqual({ n: 2 })
  })
}

function describeLostAnswers(): void {
  const openBoth = async (deadlineMs: number) => {
    const { projectId } = ownProject()
    const proxy = await startTcpProxy(must(emulatorHost))
    onTestFinished(proxy.stop)
    const { store } = openStore({ emulatorHost: proxy.host, projectId, deadlineMs })
    const { store: direct } = openStore({ emulatorHost: must(emulatorHost), projectId })
    await Promise.all([store.get('things/warm'), direct.get('things/warm')])
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

function openStore(target: { emulatorHost: string; projectId?: string; deadlineMs?: number }) {
  const opened = createFirestoreSdkStore({ ...ownProject(), ...target, clock: createFakeClock() })
  onTestFinished(opened.close)
  return opened
}

/** The emulator keeps projects apart: a test of its own project starts empty. */
function ownProject(): { readonly projectId: string } {
  return { projectId: `p-${crypto.randomUUID()}` }
}

function rawUrl(projectId: string, path: string): string {
  return `http://${emulatorHost}/v1/projects/${projectId}/databases/(default)/documents/${path}`
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
