export interface LongPolicy {
  readonly rules: number
  /** How many the rules are for in turn; default: each for one of its own. */
  readonly credentials?: number
}

/** A valid policy of ten issuers and many rules, some 260 bytes each, as a generator would write it. */
export function longPolicy({ rules, credentials = rules }: LongPolicy): string {
  const issuers = Array.from(
    { length: 10 },
    (_, index) => `  - name: issuer-${index}
    issuer: https://issuer-${index}.example
    keys: { discovery: true }
`,
  )
  const entries = Array.from(
    { length: rules },
    (_, index) => `  - name: rule-${index}
    callers:
      - issuer: issuer-${index % 10}
        subject: system:serviceaccount:team-${index}:worker
        claims: { environment: production }
    credential: credential-${index % credentials}
    scopes: [devstorage.read_only]
`,
  )
  return `version: 1\nissuers:\n${issuers.join('')}rules:\n${entries.join('')}`
}
