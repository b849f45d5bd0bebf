import { seconds, type EpochSeconds, type Seconds } from './time.ts'
import { epochOf } from './utc-instant.ts'

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
