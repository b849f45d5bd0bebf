import { describe, expect, inject, test } from 'vitest'
import { findEmulator, startFirestoreEmulator } from './start-firestore-emulator.ts'

const host = inject('firestoreEmulatorHost')

describe.skipIf(host === undefined)('the Firestore emulator of a run', () => {
  test('creates a document once and refuses the second creation', async () => {
    const documents = `http://${host}/v1/projects/emulator-check/databases/(default)/documents`
    await fetch(documents.replace('/v1/', '/emulator/v1/'), { method: 'DELETE' })
    const create = (): Promise<Response> =>
      fetch(`${documents}/things?documentId=one`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"fields":{}}',
      })

    expect((await create()).status).toBe(200)
    expect((await create()).status).toBe(409)
  })

  test('one of its own can be had for fault tests, and is gone when stopped', async () => {
    const emulator = await startFirestoreEmulator()

    expect((await fetch(`http://${emulator.host}/`)).status).toBe(200)
    await emulator.stop()
    await expect(fetch(`http://${emulator.host}/`)).rejects.toThrow('fetch failed')
    expect(() => process.kill(emulator.pid, 0)).toThrow('ESRCH')
  })
})

test('a machine without the emulator says what is missing', () => {
  expect(findEmulator('/nowhere')).toEqual({ found: false, missing: 'no java on PATH' })
})
