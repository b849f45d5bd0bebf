import type { Settings } from '../config.ts'

/** Settings as they are in force, by their names, for administrators. Picked one by one: none of them is a secret (P23). */
export function shownSettings(settings: Settings): Readonly<Record<string, string>> {
  const { federation, google } = settings
  return {
    DOWNSCOPE_STORE: storeText(settings.store),
    DOWNSCOPE_KEY_RING: settings.keyRing.map(keyRingText).join(','),
    DOWNSCOPE_POLICY: policyText(settings.policy),
    DOWNSCOPE_REFRESH: settings.refresh,
    DOWNSCOPE_MEMORY_TOKENS: String(settings.memoryTokensMax),
    DOWNSCOPE_CALLER_RATE: String(settings.callerRate),
    DOWNSCOPE_TOTAL_RATE: String(settings.totalRate),
    DOWNSCOPE_AUDIT: settings.audit,
    DOWNSCOPE_AUDIT_DAYS: String(settings.auditDays),
    DOWNSCOPE_LOG_LEVEL: settings.logLevel,
    ...(federation === undefined ? {} : { DOWNSCOPE_GOOGLE_FEDERATION: federation.provider }),
    GOOGLE_OAUTH_TOKEN_URL: google.oauthTokenUrl,
  }
}

function storeText(store: Settings['store']): string {
  switch (store.kind) {
    case 'memory':
      return 'memory:'
    case 'sqlite':
      return `sqlite:${store.path}`
    case 'firestore':
      return `firestore${store.driver === 'rest' ? '+rest' : ''}://${store.project}/${store.database}`
  }
}

/** Of local keys the names, first the one that seals. */
function keyRingText(part: Settings['keyRing'][number]): string {
  switch (part.kind) {
    case 'local':
      return `local: (keys ${part.keys.map(({ kid }) => kid).join(', ')})`
    case 'gcp-kms':
      return `gcp-kms://${part.cryptoKey}`
  }
}

function policyText(policy: Settings['policy']): string {
  switch (policy.from) {
    case 'file':
      return policy.path
    case 'setting':
      return `(${policy.name})`
    case 'store':
      return '(in the store)'
  }
}
