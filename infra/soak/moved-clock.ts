import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Names the file that holds by how many seconds the wall clock is ahead. */
export const clockFileName = 'SOAK_CLOCK_FILE'
/** As `NODE_OPTIONS` of a process that shall share the clock. */
export const movedClockOption = `--import ${import.meta.filename}`

const lookedAtAgainAfterMs = 5

// Loaded into a process before its own code, it moves that process's wall clock; steady time is left alone.
const path = process.env[clockFileName]
if (path !== undefined) shareClock(path)

/** From now on this process's wall clock is as far ahead as the file says. */
export function shareClock(file: string): void {
  const realNow = Date.now
  let aheadMs = 0
  let readAtMs = -Infinity
  Date.now = () => {
    if (performance.now() - readAtMs > lookedAtAgainAfterMs) {
      aheadMs = Number(readFileSync(file, 'utf8')) * 1000
      readAtMs = performance.now()
    }
    return realNow() + aheadMs
  }
}

/** Moves the clock of all who share it; when it resolves, all of them have seen it. */
export async function moveClock(file: string, seconds: number): Promise<void> {
  writeFileSync(file, String(Number(readFileSync(file, 'utf8')) + Math.ceil(seconds)))
  await wait(lookedAtAgainAfterMs * 10)
}
