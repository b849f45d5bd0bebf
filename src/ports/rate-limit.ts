import type { Admission } from '../domain/broker-error.ts'

/**
 * Asks whether one more request may come under this key now, and counts it if so. Never rejects: a limiter that
 * cannot say lets the request pass, because it guards against load and not against callers.
 */
export type RateLimit = (key: string) => Admission | Promise<Admission>
