import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'

/** A caller or administrator who proves their identity with a signed JWT. */
export interface SampleCaller {
  readonly issuer: string
  readonly subject: string
  readonly publicJwk: JWK
  /** For a file; whoever has it is this caller. */
  readonly privateJwk: JWK & { readonly iss: string; readonly sub: string }
  readonly sign: (audience: string, lifeSeconds: number) => Promise<string>
}

export interface SampleCallers {
  /** A workload whose platform signs for it, as Kubernetes does. */
  readonly workload: SampleCaller
  /** A service that signs for itself. */
  readonly billing: SampleCaller
  /** The person at the keyboard. */
  readonly admin: SampleCaller
}

export async function createSampleCallers(): Promise<SampleCallers> {
  const [workload, billing, admin] = await Promise.all([
    createCaller('https://cluster.quickstart.example', 'system:serviceaccount:reports:exporter', {
      'kubernetes.io': { namespace: 'reports' },
    }),
    createCaller('billing'),
    createCaller('https://login.quickstart.example', 'you'),
  ])
  return { workload, billing, admin }
}

async function createCaller(issuer: string, subject = issuer, claims: object = {}): Promise<SampleCaller> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const names = { kid: 'sample-1', alg: 'ES256' }
  const [publicJwk, privateJwk] = await Promise.all([exportJWK(publicKey), exportJWK(privateKey)])
  return {
    issuer,
    subject,
    publicJwk: { ...publicJwk, ...names },
    privateJwk: { ...privateJwk, ...names, iss: issuer, sub: subject },
    sign: (audience, lifeSeconds) =>
      signJwt(privateKey, { ...claims, iss: issuer, sub: subject, aud: audience }, lifeSeconds),
  }
}

function signJwt(key: CryptoKey, claims: Record<string, unknown>, lifeSeconds: number): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: 'sample-1' })
    .setIssuedAt()
    .setExpirationTime(`${lifeSeconds} seconds`)
    .setJti(randomUUID())
    .sign(key)
}
