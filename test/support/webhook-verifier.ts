import { eventTypes } from '../../src/domain/event.ts'
import { jsonMembers } from './json-members.ts'

export const webhookSecret = `whsec_${btoa('w'.repeat(32))}`

export interface ReceivedWebhook {
  readonly id: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  /** As it was sent. */
  readonly body: string
}

interface Sent {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined
  readonly body?: string | undefined
}

const members = ['type', 'timestamp', 'data']
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/**
 * Reads a webhook as a strict receiver does, the signature by Web Crypto's HMAC. Throws for whatever Standard Webhooks
 * does not have: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function readWebhook({ method, headers = {}, body = '' }: Sent): Promise<ReceivedWebhook> {
  const header = (name: string) => headers[name]?.toString() ?? ''
  const [id, at, signature] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(header)
  if (method !== 'POST' || header('content-type') !== 'application/json')
    throw new Error('not a POST of JSON')
  if (id === undefined || !/^evt_[0-9a-f-]{32,36}$/.test(id)) throw new Error(`webhook-id is ${id}`)
  if (at === undefined || !/^\d{10}$/.test(at)) throw new Error(`webhook-timestamp is ${at}`)
  if (signature !== (await sign(`${id}.${at}.${body}`))) throw new Error('the signature does not fit')
  const message = jsonMembers(body)
  if (Object.keys(message).join() !== members.join()) throw new Error('other members than these')
  const { type, timestamp, data } = message
  if (![...eventTypes, 'test'].some((known) => known === type)) throw new Error('an unknown type')
  if (typeof timestamp !== 'string' || !rfc3339.test(timestamp)) throw new Error('no timestamp')
  return { id, type: String(type), data: jsonMembers(JSON.stringify(data)), body }
}

async function sign(text: string): Promise<string> {
  const octets = Uint8Array.from(atob(webhookSecret.slice('whsec_'.length)), (sign) => sign.charCodeAt(0))
  const key = await crypto.subtle.importKey('raw', octets, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const digest = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text))
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(digest)))}`
}
