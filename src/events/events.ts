import { Webhook } from 'standardwebhooks'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import { eventMembers, factOfAct, type EventType, type Fact } from '../domain/event.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { Secret } from '../domain/secret.ts'
import { formatTimestamp, seconds } from '../domain/time.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { AuditTrail, Log, LogLevel } from '../ports/log.ts'
import type { EventRecords } from '../records/events.ts'

/** Where events are sent. */
export interface WebhookReceiver {
  readonly url: string
  /** `whsec_` and base64, as Standard Webhooks writes it. */
  readonly secret: Secret
  readonly mustBePublic: boolean
}

export interface EventsDeps {
  readonly records: EventRecords
  /** Absent: events are logged and recorded alone. */
  readonly receiver: WebhookReceiver | undefined
  readonly http: HttpClient
  readonly background: Background
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'uuid'>
  readonly log: Log
  /** Takes out of a text what looks like a token. */
  readonly redact: (text: string) => string
  /** False on Workers, where nothing goes on between requests: there retries come with maintenance alone. */
  readonly sharesWork: boolean
}

/** What happens to the broker, told to people: one log line, one record and one webhook for each event (DESIGN 3.7). */
export interface Events {
  /** Done when it is recorded; it is sent later. What the store does not take is one line in the log. */
  readonly emit: (fact: Fact) => Promise<void>
  /** The same in the background: no request waits for it. */
  readonly notice: (fact: Fact) => void
  /**
   * Sends what is due, one after the other, for at most 10 s. Of one credential in order: a later event waits until the
   * earlier one was taken, or given up after 8 attempts within two days. Throws `store_unavailable`.
   */
  readonly deliver: () => Promise<void>
  /** Sends one event of type `test`, which is recorded nowhere. Throws `not_supported` without a receiver. */
  readonly test: () => Promise<TestedWebhook>
  readonly list: EventRecords['list']
  /**
   * Notices what people did, by the records of it, and refused sign-ins: strangers cause these, so that at most one event
   * an hour comes of them (T34).
   */
  readonly watchAudit: (audit: AuditTrail) => AuditTrail
}

export interface TestedWebhook {
  readonly id: string
  /** Its host. */
  readonly receiver: string
  /** Why it was not delivered. */
  readonly reason?: string
}

const levels: Readonly<Record<EventType, LogLevel>> = {
  'credential.broken': 'error',
  'credential.recovered': 'info',
  'credential.ends_soon': 'warn',
  'rotation.stuck': 'error',
  'rotation.done': 'info',
  'kill_switch.used': 'warn',
  'policy.replaced': 'info',
  'sign_in.refused_often': 'warn',
}

export function createEvents(deps: EventsDeps): Events {
  const { records, receiver, background, clock, log } = deps
  const deliver = receiver === undefined ? async () => undefined : createDeliver(deps, receiver)

  const emit = async (fact: Fact): Promise<void> => {
    try {
      const event = await records.note(withoutSecrets(fact, deps.redact), { isSent: receiver !== undefined })
      if (event === undefined) return
      const { type, id, data } = event
      const message = `event ${type}${data.credential === undefined ? '' : ` of ${data.credential}`}`
      log(levels[type], message, { event: { id, ...eventMembers(event) } })
      if (background.runsAfterAnswer) background.run(deliver)
    } catch (error) {
      if (!isBrokerError(error)) throw error
      const { type, data } = fact
      log('warn', 'an event was not recorded', { type, credential: data.credential, reason: error.reason })
    }
  }
  const notice = (fact: Fact): void => background.run(() => emit(fact))

  return {
    emit,
    notice,
    deliver,
    list: records.list,
    test: async () => {
      if (receiver === undefined)
        throw new BrokerError('not_supported', {
          reason: 'there is no webhook',
          publicDetail: 'there is no webhook: set DOWNSCOPE_WEBHOOK_URL and DOWNSCOPE_WEBHOOK_SECRET',
        })
      const id = `evt_${deps.entropy.uuid()}`
      const message = { type: 'test', timestamp: formatTimestamp(clock.now()), data: {} }
      const failure = await send(deps, receiver, { id, message })
      return { id, receiver: new URL(receiver.url).host, ...omitUndefined({ reason: failure?.reason }) }
    },
    watchAudit: createWatchAudit(clock, notice),
  }
}

function withoutSecrets(fact: Fact, redact: (text: string) => string): Fact {
  const { reason } = fact.data
  if (reason === undefined) return fact
  return { ...fact, data: { ...fact.data, reason: redact(reason).slice(0, reasonCharsMax) } }
}

const reasonCharsMax = 1_000

/** Until the next attempt, by how many there were. The first is as long as the longest `Retry-After` that is believed. */
const pauses = [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400] as const
const attemptsMax = pauses.length + 1
const passMs = 10_000
const lookAgainMs = 60_000

function createDeliver(deps: EventsDeps, receiver: WebhookReceiver): () => Promise<void> {
  const { records, background, clock, log, sharesWork } = deps
  const host = new URL(receiver.url).host
  let isUnderWay = false
  let isAskedAgain = false
  let isFailing = false
  let lookAgain = Promise.withResolvers<void>()
  // An instance that ended may have left something.
  lookAgain.resolve()

  /** Whether the receiver answers at all; of a failure one line is logged, not one for each event. */
  const noteOutcome = (reason: string | undefined): void => {
    if (reason !== undefined && !isFailing)
      log('warn', 'the webhook does not take events; they are sent again', { reason })
    if (reason === undefined && isFailing) log('info', 'the webhook takes events again', { receiver: host })
    isFailing = reason !== undefined
  }

  /** Whether something is left to send. */
  const sendDue = async (): Promise<boolean> => {
    const endMs = clock.steadyMs() + passMs
    const waiting = new Set<string>()
    for await (const due of records.due()) {
      if (clock.steadyMs() > endMs) return true
      if (waiting.has(due.subject)) continue
      const attempt = await records.take(due, seconds(pauses[due.attempts] ?? 86_400))
      if (attempt === undefined) {
        waiting.add(due.subject)
        continue
      }
      const { event } = attempt
      const failure = await send(deps, receiver, { id: event.id, message: eventMembers(event) })
      noteOutcome(failure?.reason)
      if (failure === undefined) {
        await records.settle(attempt, { state: 'delivered' })
        continue
      }
      const { reason, isAnswer } = failure
      const isGivenUp = attempt.due.attempts >= attemptsMax
      await records.settle(attempt, { state: isGivenUp ? 'given_up' : 'pending', reason })
      if (isGivenUp)
        log('error', 'an event was not delivered and is given up', { id: event.id, type: event.type, reason })
      else waiting.add(due.subject)
      // Whoever does not answer now will not answer the next one either.
      if (!isAnswer) return true
    }
    return waiting.size > 0
  }

  // On Workers each request has its own: nothing tells when another one was cut off.
  const deliver = async (): Promise<void> => {
    if (isUnderWay && sharesWork) {
      isAskedAgain = true
      return
    }
    isUnderWay = true
    // Where the store fails nobody knows what is left.
    let isLeft = true
    try {
      do {
        isAskedAgain = false
        isLeft = await sendDue()
      } while (isAskedAgain)
    } finally {
      isUnderWay = false
      if (isLeft) lookAgain.resolve()
    }
  }

  // Not in the background, whose work the end of the process waits for, nor begun by a request, whose trace it would be.
  const keepLooking = async (): Promise<never> => {
    for (;;) {
      await lookAgain.promise
      await clock.sleep(lookAgainMs)
      lookAgain = Promise.withResolvers()
      background.run(deliver)
    }
  }
  if (sharesWork && background.runsAfterAnswer) void keepLooking()
  return deliver
}

interface Failure {
  /** With the host, and nothing else of the URL. */
  readonly reason: string
  /** Whether a status came. */
  readonly isAnswer: boolean
}

const timeoutMs = 5_000
/** Of the answer, of which only the status is looked at. */
const answerBytesMax = 16_384

/** One attempt by Standard Webhooks (https://www.standardwebhooks.com); `undefined` when it was taken. */
async function send(
  { http, clock }: Pick<EventsDeps, 'http' | 'clock'>,
  { url, secret, mustBePublic }: WebhookReceiver,
  { id, message }: { readonly id: string; readonly message: object },
): Promise<Failure | undefined> {
  const now = clock.now()
  const body = JSON.stringify(message)
  // oxlint-disable-next-line no-restricted-globals -- reads no clock
  const signature = new Webhook(secret.reveal()).sign(id, new Date(now * 1000), body)
  const result = await http({
    method: 'POST',
    url,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(now),
      'webhook-signature': signature,
    },
    body,
    timeoutMs,
    maxBytes: answerBytesMax,
    webhook: { mustBePublic },
  })
  if (result.kind === 'failure') return { reason: result.detail, isAnswer: false }
  if (result.status >= 200 && result.status < 300) return undefined
  return { reason: `${new URL(url).host} answered ${result.status}`, isAnswer: true }
}

const refusedOften = 20
const hour = seconds(3_600)

function createWatchAudit(
  clock: Pick<Clock, 'steadyMs'>,
  notice: (fact: Fact) => void,
): Events['watchAudit'] {
  let since = 0
  let count = 0
  /** The first of an hour that are too many are told, and no later one touches the store. */
  const countRefusal = (): void => {
    const nowMs = clock.steadyMs()
    if (count === 0 || nowMs - since >= hour * 1000) {
      since = nowMs
      count = 0
    }
    count += 1
    if (count === refusedOften)
      notice({ type: 'sign_in.refused_often', key: [], onceIn: hour, data: { count } })
  }
  return (audit) => async (record) => {
    await audit(record)
    const { action, outcome, error } = record
    if (error === 'admin_unauthenticated' || (action === 'person.sign_in' && outcome === 'refused'))
      countRefusal()
    const fact = factOfAct(record)
    if (fact !== undefined) notice(fact)
  }
}
