/** Whether it is the e-mail address of a Google service account, and so harmless as a part of a URL. */
export function isServiceAccountEmail(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9][a-z0-9.-]{0,190}\.gserviceaccount\.com$/.test(text)
}
