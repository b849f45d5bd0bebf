import { exportJWK, generateKeyPair } from 'jose'
import { parseSigningKeys, type BrokerKeys } from '../../src/adapters/google-identity/signing-keys.ts'

/** Where the broker's keys are trusted in tests. */
export const poolProvider =
  '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/downscope/providers/broker'

/** A new private JWK, as an operator would keep it. */
export async function createPrivateJwk(
  kid: string,
  alg: 'ES256' | 'ES384' | 'RS256' = 'ES256',
): Promise<Readonly<Record<string, unknown>>> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' }
}

/** The set as the setting has it. */
export function keySetText(...keys: readonly unknown[]): string {
  return JSON.stringify({ keys })
}

export function readKeys(...keys: readonly unknown[]): BrokerKeys {
  const reading = parseSigningKeys(keySetText(...keys))
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  return reading.value
}

/** The beginning of every private member of an EC and an RSA key: what must be nowhere. */
export function privateTexts(keys: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  const values = keys.flatMap((key) => ['d', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => key[name]))
  const texts = values.filter((value) => typeof value === 'string').map((text) => text.slice(0, 16))
  if (texts.length !== 7) throw new Error('an EC and an RSA key were expected')
  return texts
}
