import { BrokerError } from '../../src/domain/broker-error.ts'
import type { PolicyDocument, PolicySource } from '../../src/ports/policy-source.ts'

export interface FakePolicySource extends PolicySource {
  /** Puts another document there, under a new revision. */
  write(text: string): void
  /** What the next reads do, until told otherwise: answer, fail, or keep whoever reads waiting. */
  become(state: 'up' | 'down' | 'hanging'): void
  /** Answers all who were kept waiting, with what was there when they asked. */
  release(): void
  /** How many reads there were, unchanged documents included. */
  readonly reads: () => number
}

/** A policy somewhere else: unchanged answers `undefined`, and none at all throws, as the port demands. */
export function createFakePolicySource(text?: string): FakePolicySource {
  let revision = 1
  let document: PolicyDocument | undefined
  let state: 'up' | 'down' | 'hanging' = 'up'
  let waiting: (() => void)[] = []
  let reads = 0

  const source: FakePolicySource = {
    write: (changed) => {
      revision += 1
      document = { text: changed, revision: `r${revision}`, origin: 'file policy.yaml' }
    },
    become: (next) => {
      state = next
    },
    release: () => {
      const released = waiting
      waiting = []
      for (const answer of released) answer()
    },
    reads: () => reads,
    read: async (known) => {
      reads += 1
      const found = document
      if (state === 'hanging') await new Promise<void>((resolve) => waiting.push(resolve))
      if (state === 'down') throw new BrokerError('policy_unavailable', { reason: 'the disk is gone' })
      if (found === undefined) throw new BrokerError('policy_unavailable', { reason: 'there is no policy' })
      return found.revision === known ? undefined : found
    },
  }
  if (text !== undefined) source.write(text)
  return source
}
