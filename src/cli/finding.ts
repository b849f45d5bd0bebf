/** One thing that was looked at. */
export interface Finding {
  /** In one or two words. */
  readonly what: string
  /** `odd`: it works, and somebody should look; `unknown`: it could not be looked at. */
  readonly verdict: 'good' | 'odd' | 'bad' | 'unknown'
  readonly says: string
  /** How to fix it. */
  readonly fix?: readonly string[]
}

/** JWTs may be off by 60 s at most, and 10 s into the future (P5). */
const clockSecondsMax = 10

/** By a `Date` header of somebody who should know. */
export function judgeClock(date: string | undefined, whose: string): Finding {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs))
    return { what: 'clock', verdict: 'unknown', says: `${whose} does not say what time it is` }
  const seconds = Math.round((Date.now() - theirs) / 1000)
  if (Math.abs(seconds) <= clockSecondsMax)
    return { what: 'clock', verdict: 'good', says: `as that of ${whose}, within ${clockSecondsMax} s` }
  const says = `${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} that of ${whose}: JWTs are refused beyond 60 s`
  return { what: 'clock', verdict: 'bad', says, fix: ['Let NTP set the clock of this machine.'] }
}
