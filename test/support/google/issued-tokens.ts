import { randomBytes } from 'node:crypto'
import type { AccessBoundary } from './boundary.ts'

export type TokenKind =
  | 'service_account'
  | 'delegated'
  | 'user'
  | 'downscoped'
  /** Good for nothing but to have a sealed boundary behind it. */
  | 'intermediary'
  | 'federated'
  | 'impersonated'
  | 'id_token'

/** What a token really carries, whatever the reply that delivered it said. */
export type IssuedToken = {
  readonly value: string
  readonly kind: TokenKind
  /** In the order they were asked for. */
  readonly scopes: readonly string[]
  /** On whose behalf: a service account's email, a user's email, or a federated principal. */
  readonly subject: string
  /** Who acted, when that is not the subject: the service account of a delegated token, or the impersonator. */
  readonly actor: string | undefined
  readonly issuedAt: number
  readonly expiresAt: number
  readonly boundary: AccessBoundary | undefined
  /** Of an ID token. */
  readonly audience: string | undefined
  /** The service-account key whose signature asked for it. */
  readonly keyId: string | undefined
  /** The first refresh token of the grant it came from. */
  readonly grant: string | undefined
  /** The token it was made from: downscoped and impersonated ones. */
  readonly sourceToken: string | undefined
  readonly revoked: boolean
}

type Optional = 'actor' | 'boundary' | 'audience' | 'keyId' | 'grant' | 'sourceToken'
export type TokenToIssue = Omit<IssuedToken, Optional | 'value' | 'revoked' | 'issuedAt'> & {
  readonly [name in Optional]?: IssuedToken[name]
}

export type IssuedTokens = {
  /** Makes an opaque access token of a realistic size and remembers what it carries. */
  readonly issue: (token: TokenToIssue) => IssuedToken
  /** Remembers a token made elsewhere: an ID token. */
  readonly remember: (value: string, token: TokenToIssue) => IssuedToken
  readonly find: (value: string) => IssuedToken | undefined
  /** The token if it is neither expired nor revoked. */
  readonly findLive: (value: string) => IssuedToken | undefined
  readonly revokeGrant: (grant: string) => void
  /** Gives a token more scopes than were asked for; only the scripted lies do this. */
  readonly widen: (value: string, scope: string) => void
  readonly all: () => readonly IssuedToken[]
}

export function createIssuedTokens(now: () => number): IssuedTokens {
  const tokens = new Map<string, IssuedToken>()

  function remember(value: string, token: TokenToIssue): IssuedToken {
    const issued: IssuedToken = {
      actor: undefined,
      boundary: undefined,
      audience: undefined,
      keyId: undefined,
      grant: undefined,
      sourceToken: undefined,
      ...token,
      value,
      issuedAt: now(),
      revoked: false,
    }
    tokens.set(value, issued)
    return issued
  }

  return {
    issue: (token) => remember(opaque(token.kind), token),
    remember,
    find: (value) => tokens.get(value),
    findLive: (value) => {
      const token = tokens.get(value)
      return token && !token.revoked && token.expiresAt > now() ? token : undefined
    },
    revokeGrant: (grant) => {
      for (const [value, token] of tokens) {
        if (token.grant === grant) tokens.set(value, { ...token, revoked: true })
      }
    },
    widen: (value, scope) => {
      const token = tokens.get(value)
      if (token) tokens.set(value, { ...token, scopes: [...token.scopes, scope] })
    },
    all: () => [...tokens.values()],
  }
}

// Google's own prefixes; tokens of the security token service are several times longer.
function opaque(kind: TokenKind): string {
  if (kind === 'user') return `ya29.a0${random(150)}`
  if (kind === 'downscoped' || kind === 'intermediary' || kind === 'federated') return `ya29.d.${random(768)}`
  return `ya29.c.${random(150)}`
}

function random(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
