import { blockOutbound } from './block-outbound.ts'

/** What the tests of this process did to leave this machine. Files that share a process share one guard. */
export const attempts: string[] = []

blockOutbound((attempt) => attempts.push(attempt))
