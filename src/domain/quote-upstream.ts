import type { Secret } from './secret.ts'

const quotedMax = 200
const cut = '[cut]'
/** Any run of 20 such characters may be a piece of a token … */
const tokenLike = /https:\/\/www\.googleapis\.com\/auth\/[\w.-]+|[A-Za-z0-9_+/=-]{20,}/g
/** … but for Google's scopes and for OAuth's error names. */
const harmless =
  /^(?:https:\/\/www\.googleapis\.com\/auth\/[a-z]{1,20}(?:[._-][a-z]{1,20}){0,5}|[a-z]{1,16}(?:_[a-z]{1,16}){1,4})$/

/**
 * An upstream's own words as they may stand in a log: printable ASCII, at most 200 characters, without any of
 * `secrets` (what we sent) and without anything that looks like a token.
 */
export function quoteUpstream(text: string, secrets: readonly Secret[]): string {
  // Short words would be cut out of every sentence, and are no secret.
  const sent = secrets.map((secret) => secret.reveal()).filter((secret) => secret.length >= 4)
  const withoutSent = sent.reduce((rest, secret) => rest.replaceAll(secret, cut), text)
  const withoutTokens = withoutSent.replace(tokenLike, (run) => (harmless.test(run) ? run : cut))
  const printable = withoutTokens.replace(/[^\x20-\x7E]+/g, ' ').trim()
  return printable.length > quotedMax ? `${printable.slice(0, quotedMax - 3)}...` : printable
}
