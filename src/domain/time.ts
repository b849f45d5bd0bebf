declare const unit: unique symbol

/** An instant of the wall clock: whole seconds since 1970-01-01T00:00:00Z (RFC 7519 NumericDate). */
export type EpochSeconds = number & { readonly [unit]: 'EpochSeconds' }

/** A length of time in seconds. */
export type Seconds = number & { readonly [unit]: 'Seconds' }

// A brand has no run-time form: these two functions are the only place where a number becomes a unit.
export const epochSeconds = (value: number): EpochSeconds => value as EpochSeconds
export const seconds = (value: number): Seconds => value as Seconds

export function later(instant: EpochSeconds, by: Seconds): EpochSeconds {
  return epochSeconds(instant + by)
}

/** The time from `now` until `instant`; negative when it has passed. */
export function until(instant: EpochSeconds, now: EpochSeconds): Seconds {
  return seconds(instant - now)
}

export const secondsPerDay = 86_400

/** RFC 3339 in UTC, to the second. */
export function formatTimestamp(instant: EpochSeconds): string {
  // oxlint-disable-next-line no-restricted-globals -- reads no clock
  return new Date(instant * 1000).toISOString().replace('.000Z', 'Z')
}

/** The same of an instant that may be absent. */
export function formatOptional(instant: EpochSeconds | undefined): string | undefined {
  return instant === undefined ? undefined : formatTimestamp(instant)
}

/** Whole seconds of an RFC 3339 timestamp; `undefined` for anything else. */
export function parseTimestamp(text: unknown): EpochSeconds | undefined {
  // oxlint-disable-next-line no-restricted-globals -- reads no clock
  const ms = typeof text === 'string' ? Date.parse(text) : NaN
  return Number.isNaN(ms) ? undefined : epochSeconds(Math.floor(ms / 1000))
}

const secondsMin = 1
/** An upstream that wants more is asked again after a minute: outages end sooner than their announcements. */
const secondsMax = 60

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const
const imfDate = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/

/**
 * The wait that a `Retry-After` header asks for, from 1 to 60 seconds; `undefined` when there is none or it is
 * malformed. Both forms of RFC 9110 §10.2.3: seconds, or an IMF-fixdate.
 */
export function parseRetryAfter(text: string | undefined, now: EpochSeconds): Seconds | undefined {
  if (text === undefined) return undefined
  const trimmed = text.trim()
  if (/^\d{1,10}$/.test(trimmed)) return clamp(Number(trimmed))
  const at = parseImfDate(trimmed)
  return at === undefined ? undefined : clamp(at - now)
}

function clamp(wait: number): Seconds {
  return seconds(Math.min(secondsMax, Math.max(secondsMin, wait)))
}

function parseImfDate(text: string): EpochSeconds | undefined {
  const [, day, monthName, year, hour, minute, second] = imfDate.exec(text) ?? []
  const month = months.findIndex((name) => name === monthName) + 1
  if (month === 0) return undefined
  return epochOf({
    year: Number(year),
    month,
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
  })
}

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

/** By hand, because neither modules nor domain have a Date. */
function epochOf({ year, month, day, hour, minute, second }: UtcInstant): EpochSeconds {
  return epochSeconds(daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/** Of the proleptic Gregorian calendar, counted in years that begin in March, so that leap days come last. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year
  const daysOfYears = 365 * marchYear + Math.floor(marchYear / 4) - Math.floor(marchYear / 100)
  const daysOfMonths = Math.floor((153 * ((month + 9) % 12) + 2) / 5)
  return daysOfYears + Math.floor(marchYear / 400) + daysOfMonths + day - 1 - 719_468
}
