import { seconds } from './time.ts'

/** What the audience of an assertion must be, wherever the token endpoint is configured to be (docs/google.md §1.2). */
export const assertionAudience = 'https://oauth2.googleapis.com/token'
/** The longest that the token endpoint takes for an assertion (docs/google.md §1.2). */
export const assertionLife = seconds(3600)
/** RFC 7523 §2.1. */
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Of a token that acts for a service account, or changes its keys (docs/google.md §3.1, §3.2). */
export const cloudPlatformScope = 'https://www.googleapis.com/auth/cloud-platform'

/** Whether it is the e-mail address of a Google service account, and so harmless as a part of a URL. */
export function isServiceAccountEmail(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9][a-z0-9.-]{0,190}\.gserviceaccount\.com$/.test(text)
}
