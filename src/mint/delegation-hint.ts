import type { OAuthError } from './read-oauth-error.ts'

const inTheConsole =
  'in the Admin console, Security, API controls, Domain-wide delegation, the numeric client id of the account needs'

interface Hint {
  readonly error: string
  readonly says: RegExp
  readonly todo: string
}

/** In Google's own words (docs/google.md §1.3); the first that fits. */
const hints: readonly Hint[] = [
  {
    error: 'unauthorized_client',
    says: /(?:)/,
    todo: `nothing of this is delegated to the account: ${inTheConsole} exactly these scopes; that takes up to a day`,
  },
  {
    error: 'access_denied',
    says: /restricted/i,
    todo: 'context-aware access keeps the user or the app out: an administrator has to change the access level',
  },
  {
    error: 'access_denied',
    says: /(?:)/,
    todo: `at least one of these scopes is not delegated to the account: ${inTheConsole} every one of them, word for word`,
  },
  {
    error: 'invalid_grant',
    says: /^(?:Not a valid email|Invalid email or User ID)/i,
    todo: 'the user to act for does not exist, is suspended, or is in a domain that delegates nothing',
  },
  {
    error: 'invalid_grant',
    says: /^Account has been deleted/i,
    todo: 'the user to act for was deleted or suspended',
  },
  {
    error: 'invalid_request',
    says: /\b(?:sub|prn)\b/,
    todo: "requested_subject must be a user's e-mail address",
  },
]

/** What somebody has to do before a user can be acted for; `undefined` where it is not about that. */
export function delegationHint({ error, description = '' }: OAuthError): string | undefined {
  return hints.find((hint) => hint.error === error && hint.says.test(description))?.todo
}
