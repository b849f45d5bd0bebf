import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import * as z from 'zod'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { Document, DocumentStore, Stored } from '../../src/ports/document-store.ts'
import { createSummaryRecord } from '../../src/records/broker-summary.ts'
import { createBlocks } from '../../src/records/blocks.ts'
import { carriedValue, collections } from '../../src/records/collections.ts'
import { createConnections } from '../../src/records/connections.ts'
import { parseCredentialRecord } from '../../src/records/credential-codec.ts'
import { parseDestroyed } from '../../src/records/destroyed-credentials.ts'
import { createEventRecords } from '../../src/records/events.ts'
import { createIssuedTokens, parseTokenRecord } from '../../src/records/tokens.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createRefusals } from '../../src/records/refusals.ts'
import { createRuleUses } from '../../src/records/rule-uses.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { jsonMembers } from '../support/json-members.ts'
import { codeBlocksOf } from '../support/markdown-blocks.ts'
import { createLogBook } from '../support/quiet.ts'
import { createSequence, quickDigest } from '../support/sequence.ts'
import { repository } from '../support/run-node.ts'

const page = readFileSync(join(repository, 'docs/records.md'), 'utf8')

describe('the examples in docs/records.md', () => {
  const examples = codeBlocksOf(page).filter(({ language }) => language === 'json')
  const clock = createFakeClock()

  test.each(examples.map(({ note, text }) => ({ key: note, text })))(
    '$key is read by the code that reads it',
    async ({ key, text }) => {
      const store = createMemoryStore({ clock })
      for (const { note, text: other } of examples) await store.put(note, parseDocument(other))
      const stored = await store.get(key)
      if (stored === undefined) throw new Error(`${key} is not a key of the store`)

      await readRecord(stored, store)
      expect(stored.value).toEqual(jsonMembers(text))
    },
  )

  test('are of every collection', () => {
    const examplesOf = new Set(examples.map(({ note }) => note.split('/')[0]))

    expect(examplesOf).toEqual(new Set(collections.map(({ name }) => name)))
  })

  test('are of collections of which the table says whether they expire', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \|.*\| (.+) \|$/gm)].map(([, name, expiry]) => ({
      name,
      expires: expiry !== 'no',
    }))

    expect(byName(rows)).toEqual(byName(collections.map(({ name, expires }) => ({ name, expires }))))
  })

  test('with a member of the wrong type is refused', async () => {
    const store = createMemoryStore({ clock })
    await store.put('credentials/x', { schema: 1, name: 'x' })
    const stored = await store.get('credentials/x')

    await expect(readRecord(stored ?? fail(), store)).rejects.toThrow('malformed')
  })

  async function readRecord(stored: Stored, store: DocumentStore): Promise<void> {
    const [collection, id = ''] = stored.key.split('/')
    if (collection === 'credentials') parseCredentialRecord(stored)
    else if (collection === 'destroyed') expect(parseDestroyed(stored).versions).toHaveLength(1)
    else if (collection === 'tokens') parseTokenRecord(stored)
    else if (collection === 'issued') expect(await createIssuedTokens({ store }).find(id)).toBeDefined()
    else if (collection === 'policies') await createPolicies({ store, clock, newId: () => 'new' }).read()
    else if (collection === 'usage') await readUses(store)
    else if (collection === 'refusals') expect(await createRefusals({ store }).find(id)).toBeDefined()
    else if (collection === 'blocks') await createBlocks({ store, clock, entropy: createSequence() }).read()
    else if (collection === 'connections')
      expect(
        await createConnections({ store, clock, entropy: createSequence(), onMalformed: vi.fn() }).find(id),
      ).toBeDefined()
    else if (collection === 'events') await readEvents(store)
    else if (collection === 'sessions') expect(carriedValue(stored)).toEqual(stored.value)
    else if (stored.key === 'maintenance/summary')
      expect(await createSummaryRecord({ store }).read()).toMatchObject({ credentials: [] })
    else expect(stored.value['schema']).toBe(1)
  }
})

function parseDocument(text: string): Document {
  return z.record(z.string(), z.json()).parse(JSON.parse(text))
}

async function readEvents(store: DocumentStore): Promise<void> {
  const events = createEventRecords({ store, clock: createFakeClock(), sha256: quickDigest })
  expect((await events.list({ limit: 10 })).events).toHaveLength(1)
  const due: unknown[] = []
  for await (const one of events.due()) due.push(one)
  expect(due).toHaveLength(1)
}

async function readUses(store: DocumentStore): Promise<void> {
  const { log } = createLogBook()
  const deps = { store, clock: createFakeClock(), entropy: createSequence(0), sha256: quickDigest, log }
  expect(await createRuleUses(deps).since(epochSeconds(0), [])).toHaveLength(1)
}

function byName<T extends { readonly name: string | undefined }>(rows: readonly T[]): readonly T[] {
  return rows.toSorted((a, b) => `${a.name}`.localeCompare(`${b.name}`))
}

function fail(): never {
  throw new Error('it was put a moment ago')
}
