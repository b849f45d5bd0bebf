import { seconds, type EpochSeconds, type Seconds } from './time.ts'

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

/** Seconds since 1970. By hand, because neither room nor domain has a Date. */
function parseImfDate(text: string): number | undefined {
  const [, day, monthName, year, hour, minute, second] = imfDate.exec(text) ?? []
  const month = months.findIndex((name) => name === monthName)
  if (month === -1) return undefined
  return (
    daysSince1970(Number(year), month + 1, Number(day)) * 86_400 +
    Number(hour) * 3600 +
    Number(minute) * 60 +
    Number(second)
  )
}

/** Of the proleptic Gregorian calendar, counted in years that begin in March, so that leap days come last. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year
  const daysOfYears = 365 * marchYear + Math.floor(marchYear / 4) - Math.floor(marchYear / 100)
  const daysOfMonths = Math.floor((153 * ((month + 9) % 12) + 2) / 5)
  return daysOfYears + Math.floor(marchYear / 400) + daysOfMonths + day - 1 - 719_468
}
