/** What the stand-in sends back: a status, headers, and either JSON or text. */
export type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: JsonObject | string
}

export type JsonObject = { readonly [name: string]: unknown }

/** A request as it arrived: nothing parsed but the address. */
export type Received = {
  readonly method: string
  readonly path: string
  /** Named groups of the route's pattern, percent-decoded. */
  readonly names: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly contentType: string
  readonly authorization: string | undefined
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** Thrown wherever Google would refuse; the server sends `reply` as it is. */
// A class: the refusal must leave nested checks and still be told from a bug.
export class Refusal extends Error {
  readonly reply: Reply
  constructor(reply: Reply) {
    super(`refused with ${reply.status}`)
    this.reply = reply
  }
}

export function jsonReply(body: JsonObject, status = 200): Reply {
  return {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache, no-store, max-age=0, must-revalidate',
    },
    body,
  }
}

/** Google's front end speaks HTML when it, and not the service behind it, answers. */
export function htmlReply(status: number, title: string): Reply {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=UTF-8' },
    body: `<!DOCTYPE html>\n<html lang=en><title>Error ${status} (${title})!!1</title><p><b>${status}.</b> <ins>That’s an error.</ins></html>`,
  }
}

/** 501 in plain text: the stand-in never pretends to know what it does not implement. */
export function notImplemented(what: string): Reply {
  return {
    status: 501,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: `the Google stand-in does not implement ${what}`,
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
