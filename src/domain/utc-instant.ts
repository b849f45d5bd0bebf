import { epochSeconds, type EpochSeconds } from './time.ts'

/** A date and time of UTC, each part as it is written. */
export interface UtcInstant {
  readonly year: number
  /** From 1. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?Z$/

/** RFC 3339 in UTC, as Google writes it, a fraction cut off; `undefined` for any other text. */
export function parseRfc3339(text: string): EpochSeconds | undefined {
  const [year, month, day, hour, minute, second] = (rfc3339.exec(text) ?? []).slice(1).map(Number)
  if (year === undefined || month === undefined || day === undefined) return undefined
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  const isPossible =
    month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60 && second <= 60
  return isPossible ? epochOf({ year, month, day, hour, minute, second }) : undefined
}

/** By hand, because neither room nor domain has a Date. */
export function epochOf({ year, month, day, hour, minute, second }: UtcInstant): EpochSeconds {
  return epochSeconds(daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/** Of the proleptic Gregorian calendar, counted in years that begin in March, so that leap days come last. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year
  const daysOfYears = 365 * marchYear + Math.floor(marchYear / 4) - Math.floor(marchYear / 100)
  const daysOfMonths = Math.floor((153 * ((month + 9) % 12) + 2) / 5)
  return daysOfYears + Math.floor(marchYear / 400) + daysOfMonths + day - 1 - 719_468
}
