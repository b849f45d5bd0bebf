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
