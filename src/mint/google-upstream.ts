import type { Upstream } from '../domain/upstream.ts'

/** Google as an upstream like any other; only its address is a setting (docs/google.md §1.1). */
export function googleUpstream(tokenUrl: string): Upstream {
  return {
    name: 'google',
    endpoints: { from: 'policy', token: tokenUrl },
    clientAuthentication: 'client_secret_post',
    assertionAudience: 'token_endpoint',
    scopeSeparator: ' ',
    scopeInRefresh: 'send',
    tokenType: 'bearer',
    readsTextualLifetime: false,
    // It uses no refresh token up now, and says that it may.
    mayRepeatRefresh: 'after_answer',
    refusesWithStatus200: false,
    invalidGrantErrors: [],
    extraParameters: {},
  }
}
