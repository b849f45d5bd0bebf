import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, DocumentStore, Version } from '../ports/document-store.ts'
import type { PolicyDocument, PolicySource } from '../ports/policy-source.ts'
import { documentOf, filledText, instant, readDocument, writeDocument } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** The policy's versions in the store. `policies/current` points at one of them; all are kept. */
export interface Policies extends PolicySource {
  /**
   * Makes `text` the policy in force, if the one in force still is `expected` (`undefined`: if there is none). The
   * version is written first and the pointer swapped after, so that a crash leaves the old policy in force.
   * Throws `changed_meanwhile`.
   */
  apply(change: PolicyChange): Promise<AppliedPolicy>
  /** The newest first, 20 at most. */
  history(): Promise<readonly PolicyVersion[]>
  version(revision: string): Promise<PolicyVersion | undefined>
}

export interface PolicyVersion {
  readonly revision: string
  readonly number: number
  readonly text: string
  readonly by: string
  readonly appliedAt: EpochSeconds
  /** The revision that it replaced; absent of the first, and of those written before 0.2. */
  readonly former?: string
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

export const policyPointerKey = 'policies/current'
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
        ...omitUndefined({ former: before?.id, furtherParts: more.length || undefined }),
      }
      await store.put(`policies/v-${id}`, writeDocument(policyVersion, version), { if: 'absent' })
      const swapped = await store.put(policyPointerKey, writeDocument(policyPointer, { id, number }), {
        if: before === undefined ? 'absent' : { version: before.version },
      })
      if (swapped === undefined) throw changedMeanwhile('another version')
      return { revision: id, appliedAt }
    },

    history: async () => {
      const versions: PolicyVersion[] = []
      let next = (await readPointer(store))?.id
      while (next !== undefined && versions.length < historyMax) {
        const version = await findVersion(store, next)
        if (version === undefined) break
        versions.push(version)
        next = version.former
      }
      return versions
    },
    version: (revision) => findVersion(store, revision),
  }
}

const historyMax = 20

export interface PolicyPointer {
  readonly id: string
  readonly number: number
}

interface Pointer extends PolicyPointer {
  readonly version: Version
}

export interface VersionDocument extends Omit<PolicyVersion, 'revision'> {
  /** How many documents the rest of the text is in. */
  readonly furtherParts?: number
}

function partsOf(text: string): readonly string[] {
  const count = Math.ceil(text.length / partChars)
  return Array.from({ length: count }, (_, at) => text.slice(at * partChars, (at + 1) * partChars))
}

function partKey(id: string, index: number): DocumentKey {
  return `policies/v-${id}-${index + 1}`
}

async function readPointer(store: DocumentStore): Promise<Pointer | undefined> {
  const stored = await store.get(policyPointerKey)
  if (stored === undefined) return undefined
  return { ...readDocument(policyPointer, stored), version: stored.version }
}

async function readVersion(store: DocumentStore, { id, number }: Pointer): Promise<PolicyDocument> {
  const version = await findVersion(store, id)
  if (version === undefined) throw missing(`policy version ${number} (${id})`)
  return { text: version.text, revision: id, origin: `store version ${number}` }
}

/** Throws `policy_unavailable` where a part of it is missing. */
async function findVersion(store: DocumentStore, id: string): Promise<PolicyVersion | undefined> {
  const stored = /^[\w.@-]{1,190}$/.test(id) ? await store.get(`policies/v-${id}`) : undefined
  // What has no number is a part of another one.
  if (stored?.value['number'] === undefined) return undefined
  const { furtherParts = 0, text, ...facts } = readDocument(policyVersion, stored)
  const parts = await Promise.all(
    Array.from({ length: furtherParts }, async (_, index) => {
      const part = await store.get(partKey(id, index))
      if (part === undefined) throw missing(`policy version ${facts.number} (${id}), part ${index + 2},`)
      return readDocument(policyPart, part).text
    }),
  )
  return { revision: id, text: text + parts.join(''), ...facts }
}

function missing(what: string): BrokerError {
  return new BrokerError('policy_unavailable', { reason: `${what} is missing in the store` })
}

function changedMeanwhile(inForce: string | undefined): BrokerError {
  return new BrokerError('changed_meanwhile', { reason: `the policy in force is ${inForce ?? 'none yet'}` })
}

export const policyPointer = documentOf<PolicyPointer>({ id: filledText, number: z.int() })

export const policyPart = documentOf<{ readonly text: string }>({ text: z.string() })

export const policyVersion = documentOf<VersionDocument>({
  number: z.int(),
  text: z.string(),
  furtherParts: z.exactOptional(z.int().check(z.gte(1), z.lte(100))),
  by: z.string(),
  appliedAt: instant,
  former: z.exactOptional(z.string()),
})
