import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore, Version } from '../ports/document-store.ts'
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
      await store.put(`policies/v-${id}`, writeDocument(policyVersion, { number, text, by, appliedAt }), {
        if: 'absent',
      })
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
  readonly text: string
  readonly by: string
  readonly appliedAt: EpochSeconds
}

async function readPointer(store: DocumentStore): Promise<Pointer | undefined> {
  const stored = await store.get(pointerKey)
  if (stored === undefined) return undefined
  return { ...readDocument(policyPointer, stored), version: stored.version }
}

async function readVersion(store: DocumentStore, { id, number }: Pointer): Promise<PolicyDocument> {
  const stored = await store.get(`policies/v-${id}`)
  if (stored === undefined)
    throw new BrokerError('policy_unavailable', {
      reason: `policy version ${number} (${id}) is missing in the store`,
    })
  return { text: readDocument(policyVersion, stored).text, revision: id, origin: `store version ${number}` }
}

function changedMeanwhile(inForce: string | undefined): BrokerError {
  return new BrokerError('changed_meanwhile', { reason: `the policy in force is ${inForce ?? 'none yet'}` })
}

const policyPointer = documentOf<PolicyPointer>({ id: filledText, number: z.int() })

const policyVersion = documentOf<PolicyVersion>({
  number: z.int(),
  text: z.string(),
  by: z.string(),
  appliedAt: instant,
})
