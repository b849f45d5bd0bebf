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

/** RFC 3339 in UTC, to the second. */
export function formatTimestamp(instant: EpochSeconds): string {
  // oxlint-disable-next-line no-restricted-globals -- reads no clock
  return new Date(instant * 1000).toISOString().replace('.000Z', 'Z')
}

/** Whole seconds of an RFC 3339 timestamp; `undefined` for anything else. */
export function parseTimestamp(text: unknown): EpochSeconds | undefined {
  // oxlint-disable-next-line no-restricted-globals -- reads no clock
  const ms = typeof text === 'string' ? Date.parse(text) : NaN
  return Number.isNaN(ms) ? undefined : epochSeconds(Math.floor(ms / 1000))
}
