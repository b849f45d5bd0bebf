/** Scopes without repetition, sorted by code unit, so that equal sets are equal lists. */
export type ScopeSet = readonly string[]

/** A scope set of the given scopes; order and repetition of the input do not matter. */
export function scopeSet(scopes: Iterable<string>): ScopeSet {
  const words = [...scopes]
  // The usual case, on the hot path.
  return words.length < 2 ? words : [...new Set(words)].toSorted()
}

/** RFC 6749 §3.3: scope-tokens of %x21 / %x23-5B / %x5D-7E, separated by single spaces. `undefined` if malformed. */
export function parseScope(text: string): ScopeSet | undefined {
  const words = text.split(' ').filter((word) => word !== '')
  return words.every(isScopeToken) ? scopeSet(words) : undefined
}

/** Whether it is one scope-token of RFC 6749 §3.3. */
export function isScopeToken(word: string): boolean {
  return /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(word)
}

export function formatScope(scopes: ScopeSet): string {
  return scopes.join(' ')
}

export function scopesIn(scopes: ScopeSet, allowed: ScopeSet): ScopeSet {
  return scopes.filter((scope) => allowed.includes(scope))
}

export function scopesBeyond(scopes: ScopeSet, allowed: ScopeSet): ScopeSet {
  return scopes.filter((scope) => !allowed.includes(scope))
}
