import { later, seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { Log } from '../ports/log.ts'

export interface SweepDeps {
  readonly store: Pick<DocumentStore, 'list' | 'delete'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

export interface Swept {
  readonly deleted: number
  /** Whether a bound was reached: the next run finds more. */
  readonly isMoreLeft: boolean
}

/** What carries an expiry; credentials and policies never do. */
const prefixes = ['tokens/', 'issued/', 'replays/', 'audit/', 'usage/', 'refusals/', 'sessions/'] as const
/** With one call each, a run stays below the 1,000 calls to its own platform that Workers allow on every plan. */
const sweptAtMost = 100
/** P19: a wall clock that runs an hour ahead deletes nothing that is still needed. */
const grace = seconds(-3600)

/**
 * Deletes what expired more than an hour ago, a bounded number a run. Expiry is decided where a document is read, so
 * this only tidies: it may run late, twice at once or not at all. Throws `store_unavailable`, and the next run goes on.
 */
export function createSweep({ store, clock, log }: SweepDeps): () => Promise<Swept> {
  const sweepOne = async (prefix: string): Promise<Swept> => {
    const expiresBefore = later(clock.now(), grace)
    const found = await store.list({ prefix, expiresBefore, limit: sweptAtMost })
    let deleted = 0
    for (const { key, version } of found) {
      // At this version only: a document that was written again meanwhile lives.
      if (await store.delete(key, { version })) deleted += 1
    }
    return { deleted, isMoreLeft: found.length === sweptAtMost }
  }

  return async () => {
    const swept: Swept[] = []
    for (const prefix of prefixes) swept.push(await sweepOne(prefix))
    const deleted = swept.reduce((sum, one) => sum + one.deleted, 0)
    const isMoreLeft = swept.some((one) => one.isMoreLeft)
    log('info', 'swept expired documents', { deleted, isMoreLeft })
    return { deleted, isMoreLeft }
  }
}
