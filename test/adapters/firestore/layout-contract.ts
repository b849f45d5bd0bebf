import { expect, inject, test } from 'vitest'
import { epochSeconds } from '../../../src/domain/time.ts'
import { createPolicies } from '../../../src/records/policies.ts'
import type { DocumentStore } from '../../../src/ports/document-store.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

/** Opens a store over a project of the emulator; closed when the test is over. */
export type OpenInProject = (target: {
  readonly emulatorHost: string
  readonly projectId: string
}) => DocumentStore

/** How a driver's documents look to whoever else reads or writes them. To be called where there is an emulator. */
export function describeFirestoreLayout(open: OpenInProject): void {
  const openRaw = () => {
    const emulatorHost = inject('firestoreEmulatorHost') ?? ''
    // The emulator keeps projects apart: a test of its own project starts empty.
    const projectId = `p-${crypto.randomUUID()}`
    const rawUrl = `http://${emulatorHost}/v1/projects/${projectId}/databases/(default)/documents`
    return { store: open({ emulatorHost, projectId }), rawUrl }
  }

  test('a document is legible JSON beside a timestamp for the TTL policy', async () => {
    const { store, rawUrl } = openRaw()
    await store.put('things/one', { a: [[1]] }, { expiresAt: epochSeconds(1_800_000_300) })

    const raw: unknown = await (await fetch(`${rawUrl}/things/one`)).json()

    const uuid: unknown = expect.stringMatching(/^[0-9a-f-]{36}$/)
    expect(raw).toHaveProperty('fields', {
      json: { stringValue: '{"a":[[1]]}' },
      nonce: { stringValue: uuid },
      expiresAt: { timestampValue: '2027-01-15T08:05:00Z' },
    })
  })

  test.each([
    ['without our fields', { note: { stringValue: 'by hand' } }],
    ['with broken JSON', { json: { stringValue: '{' }, nonce: { stringValue: 'n' } }],
    ['with JSON that is no object', { json: { stringValue: '[]' }, nonce: { stringValue: 'n' } }],
    ['with JSON as bytes', { json: { bytesValue: 'e30=' }, nonce: { stringValue: 'n' } }],
    [
      'with another kind of expiry',
      { json: { stringValue: '{}' }, nonce: { stringValue: 'n' }, expiresAt: { stringValue: 'soon' } },
    ],
  ])('P25: a document %s is empty, hides no other and can be replaced', async (_, fields) => {
    const { store, rawUrl } = openRaw()
    await store.put('things/b', { n: 1 })
    await fetch(`${rawUrl}/things/a`, { method: 'PATCH', body: JSON.stringify({ fields }) })

    const found = await store.get('things/a')
    expect(found?.value).toStrictEqual({})
    const listed = await store.list({ prefix: 'things/', limit: 2 })
    expect(listed.map(({ key, value }) => [key, value])).toStrictEqual([
      ['things/a', {}],
      ['things/b', { n: 1 }],
    ])
    expect(await store.list({ prefix: 'things/', limit: 2, expiresBefore: epochSeconds(9e9) })).toEqual([])
    expect(await store.put('things/a', { n: 3 }, { if: 'absent' })).toBeUndefined()
    const version = found?.version ?? fail()
    expect(await store.put('things/a', { n: 2 }, { if: { version } })).toBeDefined()
    expect((await store.get('things/a'))?.value).toStrictEqual({ n: 2 })
  })

  // Firestore takes 1 MiB for a document.
  test('a policy of 1 MB is kept whole, whatever its characters', { timeout: 120_000 }, async () => {
    const { store } = openRaw()
    const deps = { store, clock: createFakeClock(), newId: () => 'one' }
    const text = `# ${'"\u20ac<'.repeat(199_999)}`
    expect(new TextEncoder().encode(text).length).toBeGreaterThan(990_000)
    await createPolicies(deps).apply({ text, expected: undefined, by: 'ops' })

    expect((await createPolicies(deps).read())?.text === text).toBe(true)
  })
}

function fail(): never {
  throw new Error('it was read a moment ago')
}
