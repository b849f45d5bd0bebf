import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, DocumentStore, Stored, Version } from '../ports/document-store.ts'
import type { PolicyDocument, PolicySource } from '../ports/policy-source.ts'
import { documentOf, filledText, instant, readDocument, writeDocument } from './stored-fields.ts'

/** The policy's versions in the store. `policies/current` points at one of them; all are kept. */
export interface Policies extends PolicySource {
  /**
   * Makes `text` the policy in force, if the one in force still is `expected` (`undefined`: if there is none). The
   * version is written first and the pointer swapped after, so that a crash leaves the old policy in force.
   * Throws `changed_meanwhile`.
   */
  apply(change: PolicyChange): Promise<AppliedPolicy>
}

export interface PolicyChange {
  readonly text: string
  /** A revision as `read` gives it. */
  readonly expected: string | undefined
  readonly by: string
}

export interface AppliedPolicy {
  readonly revision: string
  readonly appliedAt: EpochSeconds
}

const pointerKey = 'policies/current'
/** A document takes 900,000 octets as JSON, and a character three of them at most. */
const partChars = 250_000

export function createPolicies(deps: {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly newId: () => string
}): Policies {
  const { store, clock, newId } = deps

  return {
    read: async (known) => {
      const pointer = await readPointer(store)
      if (pointer === undefined)
        throw new BrokerError('policy_unavailable', {
          reason: 'the store holds no policy yet: apply one, or name a file in DOWNSCOPE_POLICY',
        })
      if (pointer.id === known) return undefined
      return readVersion(store, pointer)
    },

    apply: async ({ text, expected, by }) => {
      const before = await readPointer(store)
      if (before?.id !== expected) throw changedMeanwhile(before?.id)
      const appliedAt = clock.now()
      const id = newId()
      const number = (before?.number ?? 0) + 1
      const [first = '', ...more] = partsOf(text)
      for (const [index, part] of more.entries())
        await store.put(partKey(id, index), writeDocument(policyPart, { text: part }), { if: 'absent' })
      const version = {
        number,
        text: first,
        by,
        appliedAt,
        ...(more.length === 0 ? {} : { furtherParts: more.length }),
      }
      await store.put(`policies/v-${id}`, writeDocument(policyVersion, version), { if: 'absent' })
      const swapped = await store.put(pointerKey, writeDocument(policyPointer, { id, number }), {
        if: before === undefined ? 'absent' : { version: before.version },
      })
      if (swapped === undefined) throw changedMeanwhile('another version')
      return { revision: id, appliedAt }
    },
  }
}

interface PolicyPointer {
  readonly id: string
  readonly number: number
}

interface Pointer extends PolicyPointer {
  readonly version: Version
}

interface PolicyVersion {
  readonly number: number
  /** All of it, or what comes first. */
  readonly text: string
  /** How many documents the rest is in. */
  readonly furtherParts?: number
  readonly by: string
  readonly appliedAt: EpochSeconds
}

function partsOf(text: string): readonly string[] {
  const count = Math.ceil(text.length / partChars)
  return Array.from({ length: count }, (_, at) => text.slice(at * partChars, (at + 1) * partChars))
}

function partKey(id: string, index: number): DocumentKey {
  return `policies/v-${id}-${index + 1}`
}

async function readPointer(store: DocumentStore): Promise<Pointer | undefined> {
  const stored = await store.get(pointerKey)
  if (stored === undefined) return undefined
  return { ...readDocument(policyPointer, stored), version: stored.version }
}

async function readVersion(store: DocumentStore, { id, number }: Pointer): Promise<PolicyDocument> {
  const find = async (key: DocumentKey): Promise<Stored> => {
    const stored = await store.get(key)
    if (stored !== undefined) return stored
    throw new BrokerError('policy_unavailable', {
      reason: `policy version ${number} (${id}) is missing in the store`,
    })
  }
  const { text, furtherParts = 0 } = readDocument(policyVersion, await find(`policies/v-${id}`))
  const parts = await Promise.all(
    Array.from({ length: furtherParts }, async (_, index) => {
      return readDocument(policyPart, await find(partKey(id, index))).text
    }),
  )
  return { text: text + parts.join(''), revision: id, origin: `store version ${number}` }
}

function changedMeanwhile(inForce: string | undefined): BrokerError {
  return new BrokerError('changed_meanwhile', { reason: `the policy in force is ${inForce ?? 'none yet'}` })
}

const policyPointer = documentOf<PolicyPointer>({ id: filledText, number: z.int() })

const policyPart = documentOf<{ readonly text: string }>({ text: z.string() })

const policyVersion = documentOf<PolicyVersion>({
  number: z.int(),
  text: z.string(),
  furtherParts: z.exactOptional(z.int().check(z.gte(1), z.lte(100))),
  by: z.string(),
  appliedAt: instant,
})
