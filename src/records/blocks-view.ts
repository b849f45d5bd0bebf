import { inForce, type BlocksInForce } from '../domain/blocks.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlocksRecord } from './blocks.ts'
import { createKeptCurrent } from './kept-current.ts'

export interface BlocksViewDeps {
  readonly blocks: Pick<BlocksRecord, 'read'>
  readonly clock: Clock
  /** False on Workers. */
  readonly sharesWork: boolean
}

const bounds = {
  // P26: 10 s, of which 5 s of age and 2 s of reading.
  freshMs: 5_000,
  // P20: tokens in memory are served on while the store is down, and none of them lives longer than this.
  staleMs: 3_600_000,
  deadlineMs: 2_000,
  pauseMs: 2_000,
}

/**
 * What is switched off by hand as this instance sees it: at most 7 s behind the store while that answers, an hour while
 * it does not. After that, and before the first reading, throws `store_unavailable`.
 */
export function createBlocksView({
  blocks,
  clock,
  sharesWork,
}: BlocksViewDeps): () => BlocksInForce | Promise<BlocksInForce> {
  const read = async (): Promise<BlocksInForce> => inForce(await blocks.read())
  return createKeptCurrent({ read, clock, bounds, sharesWork })
}
