import { createServer } from 'node:net'
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import type { DocumentStore } from '../../../src/ports/document-store.ts'
import { listenOnLoopback } from '../../support/listen.ts'
import { startFirestoreEmulator, type FirestoreEmulator } from '../../support/start-firestore-emulator.ts'

export interface OutageContract {
  /** A store over a project of its own; closed when the test is over. */
  readonly open: (target: { readonly emulatorHost: string; readonly deadlineMs?: number }) => DocumentStore
  /** How the driver tells of a refused connection. */
  readonly refused: RegExp
}

/** What a driver of Firestore guarantees while Firestore does not answer. */
export function describeFirestoreOutages({ open, refused }: OutageContract): void {
  describe.skipIf(inject('firestoreEmulatorHost') === undefined)(
    'an emulator that hangs (skipped where there is none)',
    () => {
      let emulator: FirestoreEmulator
      beforeAll(async () => {
        emulator = await startFirestoreEmulator()
        return async () => {
          process.kill(emulator.pid, 'SIGCONT')
          await emulator.stop()
        }
      })

      test('P20: every call settles within the deadline, and the store recovers by itself', async () => {
        const store = open({ emulatorHost: emulator.host, deadlineMs: 1500 })
        // A Java that has just started takes its time for the first calls.
        await vi.waitFor(() => store.put('others/kept', { n: 1 }), { timeout: 8000 })

        process.kill(emulator.pid, 'SIGSTOP')
        await expectEveryCallToFailWithin(store, 1500)
        process.kill(emulator.pid, 'SIGCONT')

        // Not one of the documents above: what was asked of them is carried out now, or never.
        await vi.waitFor(async () => expect(await store.get('others/kept')).toBeDefined(), { timeout: 8000 })
        expect(await store.put('others/new', { n: 2 }, { if: 'absent' })).toBeDefined()
      })
    },
  )

  describe('without any answer', () => {
    test('P20: a server that accepts and says nothing: every call settles within the deadline', async () => {
      const store = open({ emulatorHost: await listenSilently(), deadlineMs: 900 })

      await expectEveryCallToFailWithin(store, 900)
    })

    test('P20: the deadline is three seconds unless it is set otherwise', async () => {
      const store = open({ emulatorHost: await listenSilently() })

      await expectEveryCallToFailWithin(store, 3000)
    })

    test('P20: a refused connection says that Firestore cannot be reached', async () => {
      const store = open({ emulatorHost: '127.0.0.1:1' })

      const cannotBeReached = { code: 'store_unavailable', reason: matching(refused) }
      await expect(store.get('things/one')).rejects.toMatchObject(cannotBeReached)
      await expect(store.put('things/one', {}, { if: 'absent' })).rejects.toMatchObject(cannotBeReached)
    })
  })
}

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

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
  const unavailable: unknown = expect.objectContaining({ code: 'store_unavailable' })
  expect(results).toStrictEqual(calls.map(() => ({ status: 'rejected', reason: unavailable })))
}

async function listenSilently(): Promise<string> {
  const server = createServer(() => {})
  onTestFinished(() => void server.close())
  return `127.0.0.1:${await listenOnLoopback(server)}`
}
