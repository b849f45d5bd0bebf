import { parseSigningKeys } from '../../../src/adapters/google-identity/signing-keys.ts'
import { parseIdentityReply } from '../../../src/adapters/google-identity/own-identity.ts'
import { parseLocalKeys } from '../../../src/adapters/key-ring/local-keys.ts'
import { parseSealed } from '../../../src/adapters/key-ring/key-ring.ts'
import { readRestResult } from '../../../src/adapters/firestore/rest/send-firestore.ts'
import { createJsonLog } from '../../../src/adapters/system/json-log.ts'
import { redactTokens } from '../../../src/adapters/system/audit-trail.ts'
import { parseCompactJws } from '../../../src/authentication/compact-jws.ts'
import { parseJwks, parseMetadata } from '../../../src/authentication/jwks.ts'
import { boundaryFaults, variableFaults } from '../../../src/boundaries/boundary.ts'
import { intersectBoundaries } from '../../../src/boundaries/intersect-boundaries.ts'
import { createMatchText } from '../../../src/policy/match-caller.ts'
import { createParseTarget } from '../../../src/authorization/authorize.ts'
import { parseCondition } from '../../../src/domain/boundary-condition.ts'
import { judgePolicy } from '../../../src/policy/policy-warnings.ts'
import type { CredentialSummary } from '../../../src/domain/credential.ts'
import { parseJsonObject, parseStrictJsonObject } from '../../../src/domain/json.ts'
import { parsePublicJwk } from '../../../src/domain/jwk.ts'
import { quoteUpstream, readOAuthError } from '../../../src/oauth/upstream-failure.ts'
import { parseRetryAfter, epochSeconds, parseTimestamp } from '../../../src/domain/time.ts'
import { parseScope } from '../../../src/domain/scopes.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { parseForm } from '../../../src/http/parse-form.ts'
import { parseOptions, parseTokenRequest } from '../../../src/http/parse-token-request.ts'
import { judgeIamAnswer } from '../../../src/google/iam-keys.ts'
import { parseConsentedScopes } from '../../../src/enrolment/credential-file.ts'
import { parseCredentialFile } from '../../../src/enrolment/parse-credential-file.ts'
import { parsePrivateKeyPem } from '../../../src/domain/pem.ts'
import { parseAccessToken, parseReplyMembers } from '../../../src/oauth/token-response.ts'
import type { Version } from '../../../src/ports/document-store.ts'
import type { HttpAnswer } from '../../../src/ports/http-client.ts'
import { parseCredentialRecord } from '../../../src/records/credential-codec.ts'
import { parseTokenRecord } from '../../../src/records/tokens.ts'

/** Something that reads what others wrote. It may throw: what counts is how long it takes. */
export interface Checker {
  readonly name: string
  /** Who writes it: what strangers send must cost less than what administrators and upstreams do. */
  readonly from: 'stranger' | 'administrator' | 'upstream' | 'store'
  /** What its caller lets through at most. */
  readonly charsMax: number
  readonly read: (text: string) => unknown
}

const bodyMax = 65_536
const answer = (body: string, status = 200): HttpAnswer => ({
  kind: 'answer',
  status,
  header: (name) => (name === 'content-type' ? 'application/json' : undefined),
  body,
})
const contentType = 'application/x-www-form-urlencoded'
const now = epochSeconds(1_800_000_000)
const log = createJsonLog({ level: 'debug', write: () => undefined, clock: { now: () => now } })
const parseTarget = createParseTarget('https://tokens.acme.example')
/** As many as a policy's names could be compared with. */
const credentials = Array.from({ length: 300 }, (_, index): CredentialSummary => ({
  name: `credential-${index}`,
  kind: 'service_account_key',
  upstream: 'google',
  state: 'enabled',
  version: 'v1',
  identity: `c${index}@acme.iam.gserviceaccount.example`,
  versions: [],
  health: { status: 'unknown', since: now },
  revision: 1,
  createdAt: now,
  updatedAt: now,
}))
const bucket = '//storage.googleapis.com/projects/_/buckets/bucket-0'
const conditionOf = (expression: string) => [
  {
    availableResource: bucket,
    availablePermissions: ['inRole:roles/storage.objectViewer'],
    availabilityCondition: { expression },
  },
]

const byWriter: Readonly<
  Record<Checker['from'], Readonly<Record<string, readonly [number, Checker['read']]>>>
> = {
  stranger: {
    'a form': [bodyMax, (text) => parseForm({ contentType, text })],
    'a token request': [bodyMax, (text) => parseTokenRequest({ contentType, text })],
    'a JWS': [bodyMax, parseCompactJws],
    'strict JSON': [bodyMax, parseStrictJsonObject],
    'the options of a token request': [bodyMax, parseOptions],
    scopes: [bodyMax, parseScope],
    'a target': [bodyMax, parseTarget],
    'words for the log': [bodyMax, redactTokens],
    'a log line': [bodyMax, (text) => log('info', text, { said: text })],
    'a subject against a pattern': [bodyMax, createMatchText('system:*aa*:*b*c*:x*')],
  },
  administrator: {
    'a pattern against a subject': [8_192, (text) => createMatchText(text)('system:serviceaccount:a:b')],
    'a policy': [bodyMax, (text) => judgePolicy({ text, origin: 'policy', credentials })],
    'a condition of a boundary': [2_048, parseCondition],
    'the faults of a boundary': [
      2_048,
      (text) => [boundaryFaults(conditionOf(text)), variableFaults(conditionOf(text))],
    ],
    'the intersection of boundaries': [
      2_048,
      (text) => intersectBoundaries(conditionOf(text), conditionOf("resource.name == 'a'")),
    ],
    'a credential file': [
      bodyMax,
      (text) => parseCredentialFile({ secret: parseJsonObject(text) ?? text }, undefined),
    ],
    'a private key': [bodyMax, parsePrivateKeyPem],
    'consented scopes': [bodyMax, (text) => parseConsentedScopes(text, 'google')],
    'signing keys': [bodyMax, parseSigningKeys],
    'sealing keys': [bodyMax, parseLocalKeys],
  },
  upstream: {
    'a JWK set': [bodyMax, parseJwks],
    'a JWK': [bodyMax, (text) => parsePublicJwk(parseJsonObject(text))],
    'the metadata of an issuer': [
      bodyMax,
      (text) => parseMetadata(text, { issuer: 'https://i.example', url: 'https://i.example/m' }),
    ],
    'a token reply': [
      bodyMax,
      (text) => {
        const members = parseReplyMembers(answer(text))
        return members.ok ? parseAccessToken(members.value) : members
      },
    ],
    'an OAuth error': [bodyMax, (text) => readOAuthError(answer(text, 400))],
    'words of an upstream': [bodyMax, (text) => quoteUpstream(text, [new Secret('ya29.abcd')])],
    'an answer of the IAM API': [262_144, (text) => judgeIamAnswer(answer(text, 400))],
    'a reply to who we are': [bodyMax, (text) => parseIdentityReply(answer(text))],
    'an answer of Firestore': [262_144, (text) => readRestResult(answer(text), now)],
    'a Retry-After': [8_192, (text) => parseRetryAfter(text, now)],
    'a time': [8_192, parseTimestamp],
  },
  store: {
    'a sealed text': [bodyMax, (text) => parseSealed(text, 'credentials/a')],
    'a credential': [262_144, (text) => parseCredentialRecord(storedAs('credentials/a', text))],
    'a token': [262_144, (text) => parseTokenRecord(storedAs('tokens/a', text))],
  },
}

function storedAs(key: `${string}/${string}`, text: string): Parameters<typeof parseTokenRecord>[0] {
  const value = JSON.parse(text) as Parameters<typeof parseTokenRecord>[0]['value']
  return { key, value, version: '1' as Version }
}

/** Everything that reads what others wrote. */
export const checkers: readonly Checker[] = Object.entries(byWriter).flatMap(([from, named]) =>
  Object.entries(named).map(([name, [charsMax, read]]) => ({
    name,
    from: from as Checker['from'],
    charsMax,
    read,
  })),
)
