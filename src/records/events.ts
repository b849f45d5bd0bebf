import * as z from 'zod/mini'
import {
  deliveryStates,
  eventTypes,
  type BrokerEvent,
  type EventData,
  type EventDelivery,
  type Fact,
} from '../domain/event.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { later, seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore, Stored, Version } from '../ports/document-store.ts'
import type { Sha256 } from '../ports/entropy.ts'
import {
  type Codec,
  documentOf,
  filledText,
  instant,
  membersOf,
  readDocument,
  writeDocument,
} from './stored-fields.ts'

/** An event, and what came of sending it where there was a receiver. */
export interface KeptEvent extends BrokerEvent {
  readonly delivery?: EventDelivery
}

/** An event that is to be sent. */
export interface DueEvent {
  /** What it is about: of the same subject, a later event waits for the earlier one. */
  readonly subject: string
  readonly attempts: number
  readonly nextTryAt: EpochSeconds
  /** `TIME-ID`, as its document's key has it. */
  readonly event: string
  readonly key: string
  readonly version: Version
}

export interface DeliveryAttempt {
  readonly event: KeptEvent
  readonly due: DueEvent
}

/** What happened, kept for 90 days. Every method may throw `store_unavailable`. */
export interface EventRecords {
  /** Records it, unless it is known: then `undefined`. However many notice the same at once, one of them gets the event. */
  note(fact: Fact, how: { readonly isSent: boolean }): Promise<BrokerEvent | undefined>
  /** The newest first; `next` is the place to go on after, where there may be more. */
  list(page: { readonly after?: string; readonly limit: number }): Promise<EventPage>
  /** What is to be sent, the oldest first, read page by page. */
  due(): AsyncIterable<DueEvent>
  /**
   * Takes one attempt: the next one is written down before this one begins, so that nobody else makes it meanwhile and
   * somebody does when this one is cut off. `undefined` when it is not time, somebody else has it, or it is over.
   */
  take(due: DueEvent, pause: Seconds): Promise<DeliveryAttempt | undefined>
  /** Records what came of it; unless that is `pending`, it is not sent again. */
  settle(attempt: DeliveryAttempt, outcome: Omit<EventDelivery, 'attempts'>): Promise<void>
}

export interface EventPage {
  readonly events: readonly KeptEvent[]
  readonly next?: string
}

export interface EventRecordsDeps {
  readonly store: DocumentStore
  readonly clock: Pick<Clock, 'now'>
  readonly sha256: Sha256
}

const keptFor = seconds(90 * 86_400)
/** Whoever notices the same again finishes what the first one may have been cut off at. */
const finishedWithin = seconds(3_600)
const duePage = 500

/*
 * Three kinds of documents: `once-DIGEST` makes one event of what several instances notice, `at-TIME-ID` is the event,
 * with the time counted down so that the newest comes first, and `due-TIME-ID` is there as long as it is to be sent.
 */
const prefix = 'events/'
const timeMax = 1e12

export function createEventRecords({ store, clock, sha256 }: EventRecordsDeps): EventRecords {
  return {
    note: async ({ type, key, onceIn = keptFor, data }, { isSent }) => {
      const onceKey = `${prefix}once-${await sha256(JSON.stringify([type, ...key]))}`
      const now = clock.now()
      const known = await store.get(onceKey)
      const at = known === undefined ? now : readDocument(noticed, known).at
      if (known === undefined) {
        const first = writeDocument(noticed, { at })
        const isFirst = await store.put(onceKey, first, { if: 'absent', expiresAt: later(at, onceIn) })
        if (isFirst === undefined) return undefined
      } else if (now - at > finishedWithin) return undefined
      const id = `evt_${(await sha256(JSON.stringify([type, ...key, at]))).slice(0, 32)}`
      const place = `${String(timeMax - at).padStart(12, '0')}-${id}`
      const delivery: EventDelivery = { state: 'pending', attempts: 0 }
      const event: KeptEvent = { id, type, at, data, ...(isSent && { delivery }) }
      const options = { if: 'absent', expiresAt: later(at, keptFor) } as const
      const written = await store.put(`${prefix}at-${place}`, writeDocument(keptEvent, event), options)
      const due = { event: place, subject: data.credential ?? type, attempts: 0, nextTryAt: at }
      if (isSent) await store.put(`${prefix}due-${timeText(at)}-${id}`, writeDocument(dueEvent, due), options)
      return written === undefined ? undefined : event
    },

    list: async ({ after, limit }) => {
      const from = after === undefined ? undefined : `${prefix}at-${after}`
      const found = await store.list({ prefix: `${prefix}at-`, after: from, limit })
      const next = found.length < limit ? undefined : found.at(-1)?.key.slice(`${prefix}at-`.length)
      return { events: found.flatMap(({ value }) => readable(keptEvent, value)), ...omitUndefined({ next }) }
    },

    due: async function* () {
      let found: readonly Stored[] = []
      do {
        const after = found.at(-1)?.key
        found = await store.list({ prefix: `${prefix}due-`, limit: duePage, after })
        for (const { key, version, value } of found)
          for (const due of readable(dueEvent, value)) yield { ...due, key, version }
      } while (found.length === duePage)
    },

    take: async (due, pause) => {
      if (due.nextTryAt > clock.now()) return undefined
      const stored = await store.get(`${prefix}at-${due.event}`)
      const [event] = readable(keptEvent, stored?.value)
      if (event?.delivery?.state !== 'pending') {
        await store.delete(due.key, due)
        return undefined
      }
      const taken = { ...due, attempts: due.attempts + 1, nextTryAt: later(clock.now(), pause) }
      const options = { if: { version: due.version }, expiresAt: later(event.at, keptFor) } as const
      const written = await store.put(due.key, writeDocument(dueEvent, taken), options)
      return written === undefined ? undefined : { event, due: { ...taken, version: written } }
    },

    settle: async ({ event, due }, outcome) => {
      const settled = { ...event, delivery: { ...outcome, attempts: due.attempts } }
      const key = `${prefix}at-${due.event}`
      await store.put(key, writeDocument(keptEvent, settled), { expiresAt: later(event.at, keptFor) })
      if (outcome.state !== 'pending') await store.delete(due.key, due)
    },
  }
}

function timeText(at: EpochSeconds): string {
  return String(at).padStart(12, '0')
}

const noticed = documentOf<{ readonly at: EpochSeconds }>({ at: instant })

const text = z.exactOptional(z.string())

const keptEvent = documentOf<KeptEvent>({
  id: filledText,
  type: z.enum(eventTypes),
  at: instant,
  data: membersOf<EventData>({
    credential: text,
    version: text,
    reason: text,
    endsAt: z.exactOptional(instant),
    days: z.exactOptional(z.int()),
    step: text,
    action: text,
    by: text,
    caller: text,
    revision: text,
    formerRevision: text,
    count: z.exactOptional(z.int()),
  }),
  delivery: z.exactOptional(
    membersOf<EventDelivery>({ state: z.enum(deliveryStates), attempts: z.int(), reason: text }),
  ),
})

const dueEvent = documentOf<Omit<DueEvent, 'key' | 'version'>>({
  event: filledText,
  subject: filledText,
  attempts: z.int(),
  nextTryAt: instant,
})

/** A document that cannot be read keeps no other from being read. */
function readable<T>(codec: Codec<T>, value: unknown): readonly T[] {
  const parsed = codec.safeParse(value)
  return parsed.success ? [parsed.data] : []
}
