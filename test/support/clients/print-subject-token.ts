import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'

// The program of a `credential_source.executable`: signs a fresh assertion with the ES256 key of the PEM file given,
// and prints it in the form that Google's libraries read, version 1. Anything on stderr would break them.
const [name = '', audience = '', keyPath = ''] = process.argv.slice(2)
if (process.env['GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE'] !== 'urn:ietf:params:oauth:token-type:jwt')
  throw new Error('it was not a library of Google that ran this')

const now = Math.floor(Date.now() / 1000)
const expiresAt = now + 120
const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const claims = { iss: name, sub: name, aud: audience, iat: now, exp: expiresAt, jti: randomUUID() }
const input = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claims)}`
const key = createPrivateKey(readFileSync(keyPath))
const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })

process.stdout.write(
  JSON.stringify({
    version: 1,
    success: true,
    token_type: 'urn:ietf:params:oauth:token-type:jwt',
    id_token: `${input}.${signature.toString('base64url')}`,
    expiration_time: expiresAt,
  }),
)
