/**
 * What tokens and client secrets look like: a JWT, whole or cut off, and Google's own. Nothing that names a scope, a
 * credential or a user has one of these forms.
 */
const secretLike = /eyJ[\w-]{16,}(?:\.[\w-]*)*|ya29\.[\w.-]{8,}|1(?:\/|%2F){2}0[\w-]{16,}|GOCSPX-[\w-]{8,}/g

/** Most names are shorter than any of these, and need no look. */
const secretCharsMin = 13

/** A caller's own words without the secrets he may have put into the wrong parameter (P23). */
export function withoutTokens(text: string): string {
  return text.length < secretCharsMin ? text : text.replace(secretLike, '[cut]')
}
