// An administrator's own key, for as long as there is no command line:
//   node infra/admin-key/main.ts new FILE            makes a key pair; prints its public half for the policy
//   node infra/admin-key/main.ts sign FILE AUDIENCE  prints a JWT for the admin API, good for 5 minutes, once
import { createPrivateKey, generateKeyPairSync, randomUUID, type JsonWebKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

import { SignJWT } from 'jose'

const issuer = 'ops'
const lifeSeconds = 300

try {
  const [command, file, audience] = process.argv.slice(2)
  if (command === 'new' && file !== undefined) process.stdout.write(makeKey(file))
  else if (command === 'sign' && file !== undefined && audience !== undefined)
    process.stdout.write(`${await sign(file, audience)}\n`)
  else throw new Error('usage: main.ts new FILE | main.ts sign FILE AUDIENCE')
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

/** Writes the private key for its owner alone, never over another one; the policy's line for the public key. */
function makeKey(file: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `ops-${randomUUID().slice(0, 8)}`
  writeFileSync(file, JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid }), {
    mode: 0o600,
    flag: 'wx',
  })
  const { x, y } = publicKey.export({ format: 'jwk' })
  return `- { kty: EC, crv: P-256, kid: ${kid}, x: "${x ?? ''}", y: "${y ?? ''}" }\n`
}

async function sign(file: string, audience: string): Promise<string> {
  const jwk = readJwk(file)
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) })
    .setIssuer(issuer)
    .setSubject(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(`${lifeSeconds} seconds`)
    .setJti(randomUUID())
    .sign(createPrivateKey({ key: jwk.key, format: 'jwk' }))
}

function readJwk(file: string): { readonly key: JsonWebKey; readonly kid: string | undefined } {
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${file} holds no JWK`)
  const key = Object.fromEntries(Object.entries(parsed))
  const kid: unknown = key['kid']
  return { key, kid: typeof kid === 'string' ? kid : undefined }
}
