import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestProject } from 'vitest/node'
import { findEmulator, startFirestoreEmulator, type FirestoreEmulator } from './start-firestore-emulator.ts'
import { listenOnLoopback } from './listen.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `127.0.0.1:PORT`; undefined when there is no emulator here, and its tests skip. */
    readonly firestoreEmulatorHost: string | undefined
  }
}

/**
 * Provides one Firestore emulator to every test file of a run. The host is known at once; Java starts with
 * the first connection, so a run that never asks does not pay for it.
 */
export default async function provideFirestoreEmulator(project: TestProject): Promise<() => Promise<void>> {
  const files = findEmulator()
  if (!files.found) {
    const sentence = `Firestore emulator tests cannot run: ${files.missing}`
    if (process.env['CI']) throw new Error(sentence)
    process.stdout.write(`${sentence}; they are skipped\n`)
    project.provide('firestoreEmulatorHost', undefined)
    return async () => {}
  }
  const { server, stop } = createLazyServer(() => startFirestoreEmulator(files))
  const port = await listenOnLoopback(server)
  project.provide('firestoreEmulatorHost', `127.0.0.1:${port}`)
  return stop
}

/** A loopback port that starts what is behind it when somebody comes, and passes every byte on. */
function createLazyServer(start: () => Promise<FirestoreEmulator>): {
  server: Server
  stop: () => Promise<void>
} {
  let emulator: Promise<FirestoreEmulator> | undefined
  const open = new Set<Socket>()
  const server = createServer({ noDelay: true }, (outer) => {
    emulator ??= start()
    open.add(outer)
    outer.once('close', () => open.delete(outer)).on('error', () => {})
    emulator.then(
      ({ port }) => {
        const inner = connect({ host: '127.0.0.1', port, noDelay: true })
        inner.on('error', () => outer.destroy()).once('close', () => outer.destroy())
        outer.once('close', () => inner.destroy())
        outer.pipe(inner).pipe(outer)
      },
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        outer.destroy()
      },
    )
  })
  const stop = async (): Promise<void> => {
    server.close()
    for (const socket of open) socket.destroy()
    await emulator?.then(
      (running) => running.stop(),
      () => {},
    )
  }
  return { server, stop }
}
