import { generateKeyPairSync, randomUUID, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { brokerIssuer, credentialName, scope, tokenPath } from './names.ts'

/** A service that calls: who it says it is, and the public key that shows it. */
export interface BenchCaller {
  readonly issuer: string
  readonly subject: string
  readonly publicJwk: JsonWebKey & { readonly kid: string }
  /** The same in PEM. */
  readonly publicPem: string
  /** A new JWT with a `jti` that no other has. */
  assertion(): string
  /** A new JWT in an HTTP request for a token, as bytes. */
  request(): Uint8Array
}

/** Longer than the longest run, so that nothing expires between signing and use. */
const assertionLifetimeSeconds = 600

export function createCaller(issuer: string, subject: string = issuer): BenchCaller {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `${new URL(issuer, brokerIssuer).pathname.slice(1)}-1`
  const header = encode({ alg: 'ES256', kid, typ: 'JWT' })
  // One random part for the run and a counter: unique without a draw for each.
  const run = randomUUID()
  let count = 0
  const assertion = (): string => {
    count += 1
    const iat = Math.floor(Date.now() / 1000)
    const exp = iat + assertionLifetimeSeconds
    const jti = `${run}-${count}`
    return signed(
      `${header}.${encode({ iss: issuer, sub: subject, aud: brokerIssuer, jti, iat, exp })}`,
      privateKey,
    )
  }
  return {
    issuer,
    subject,
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    assertion,
    request: () => tokenRequest(assertion()),
  }
}

/** The same bytes for every server: what the broker reads and others do not know is ignored by them. */
export function tokenRequest(assertion: string, more: Readonly<Record<string, string>> = {}): Uint8Array {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    audience: credentialName,
    scope,
    ...more,
  }).toString()
  const head = [
    `POST ${tokenPath} HTTP/1.1`,
    `Host: ${new URL(brokerIssuer).host}`,
    'Accept: application/json',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}

/** The same JWT with a boundary of its own: objects below a folder of that number. */
export function boundedRequest(assertion: string, folder: number): Uint8Array {
  const bucket = 'projects/_/buckets/bench-reports'
  const rule = {
    availableResource: `//storage.googleapis.com/${bucket}`,
    availablePermissions: ['inRole:roles/storage.objectViewer'],
    availabilityCondition: { expression: `resource.name.startsWith('${bucket}/objects/${folder}/')` },
  }
  return tokenRequest(assertion, {
    options: JSON.stringify({ accessBoundary: { accessBoundaryRules: [rule] } }),
  })
}

/** Requests that each carry another JWT. Throws when two are alike: then nothing measured with them would count. */
export function signBatch(caller: BenchCaller, count: number): readonly Uint8Array[] {
  const assertions = Array.from({ length: count }, () => caller.assertion())
  if (new Set(assertions).size !== count) throw new Error('two JWTs of a batch are the same')
  return assertions.map((assertion) => tokenRequest(assertion))
}

function signed(input: string, key: KeyObject): string {
  // RFC 7518 §3.4: the two numbers side by side, not in DER.
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
