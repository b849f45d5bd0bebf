import { describe, expect, test } from 'vitest'
import { readSettings } from '../../src/config.ts'
import { isConfigurationFault } from '../../src/config/setting-faults.ts'
import type { Environment } from '../../src/config/setting.ts'
import { createPrivateJwk, keySetText, poolProvider } from '../support/signing-key-set.ts'
import { createRsaKeyPem } from '../support/rsa-key.ts'

const jwk = await createPrivateJwk('k1')
const least = {
  DOWNSCOPE_ISSUER: 'https://tokens.acme.example',
  DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
}
const federated = {
  ...least,
  DOWNSCOPE_SIGNING_KEYS: keySetText(jwk),
  DOWNSCOPE_GOOGLE_FEDERATION: poolProvider,
}
const account = { DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: 'downscope@acme.iam.gserviceaccount.com' }
const keyFile = {
  DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify({
    type: 'service_account',
    client_email: 'downscope@acme.iam.gserviceaccount.com',
    private_key_id: 'key1',
    private_key: (await createRsaKeyPem()).pkcs8,
  }),
}

describe('the settings of federation', () => {
  test('keys and a provider are enough; a service account may be named', () => {
    expect(readSettings(federated).federation).toMatchObject({
      provider: poolProvider,
      serviceAccount: undefined,
      keys: [{ published: { kid: 'k1' } }],
    })
    expect(readSettings({ ...federated, ...account }).federation?.serviceAccount).toBe(
      account.DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT,
    )
    expect(readSettings(least).federation).toBeUndefined()
    expect(readSettings({ ...least, ...keyFile }).googleCredentials).toBeDefined()
  })

  test.each([
    ['a provider without keys', { ...federated, DOWNSCOPE_SIGNING_KEYS: '' }, ['DOWNSCOPE_SIGNING_KEYS']],
    [
      'keys without a provider',
      { ...federated, DOWNSCOPE_GOOGLE_FEDERATION: ' ' },
      ['DOWNSCOPE_GOOGLE_FEDERATION'],
    ],
    ['a service account alone', { ...least, ...account }, ['DOWNSCOPE_GOOGLE_FEDERATION']],
    ['a key file beside it', { ...federated, ...keyFile }, ['DOWNSCOPE_GOOGLE_FEDERATION']],
    [
      'a service account beside a key file',
      { ...least, ...keyFile, ...account },
      ['DOWNSCOPE_GOOGLE_FEDERATION'],
    ],
  ])('%s is a fault', (_, env, names) => {
    expect(faultsOf(env).map(({ setting }) => setting)).toStrictEqual(names)
  })

  test.each([
    ['https:', `https:${poolProvider}`],
    ['no slashes', poolProvider.slice(2)],
    ['the id of the project', poolProvider.replace('123456789012', 'acme')],
    ['a workforce pool', '//iam.googleapis.com/locations/global/workforcePools/acme-pool/providers/acme-idp'],
    ['a pool alone', poolProvider.replace(/\/providers.*/, '')],
    ['another host', poolProvider.replace('iam.', 'iam.evil.')],
    ['something behind it', `${poolProvider}/keys/1`],
    ['a region', poolProvider.replace('global', 'eu')],
  ])('a provider with %s is refused', (_, text) => {
    expect(faultsOf({ ...federated, DOWNSCOPE_GOOGLE_FEDERATION: text })).toMatchObject([
      { setting: 'DOWNSCOPE_GOOGLE_FEDERATION', fault: expect.stringMatching(/^must be \/\/iam/) as unknown },
    ])
  })

  test.each([
    'someone@acme.example',
    'downscope',
    'a/b@acme.iam.gserviceaccount.com',
    'a@b/../c.gserviceaccount.com',
    'a@acme.iam.gserviceaccount.com:signJwt?x=',
    'a@acme.iam.gserviceaccount.com.evil.example',
    'a@acme.iam.gserviceaccount.com\nb',
  ])('%j is no service account', (text) => {
    expect(faultsOf({ ...federated, DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: text })).toMatchObject([
      { setting: 'DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT' },
    ])
  })

  test('P23: a fault in a key shows nothing of the set', () => {
    const faults = faultsOf({ ...federated, DOWNSCOPE_SIGNING_KEYS: keySetText({ ...jwk, alg: 'HS256' }) })

    expect(faults).toMatchObject([{ setting: 'DOWNSCOPE_SIGNING_KEYS', fault: 'key 1: "alg" must be ES256' }])
    expect(JSON.stringify(faults)).not.toContain(String(jwk['d']).slice(0, 16))
    expect(JSON.stringify(readSettings(federated))).not.toContain(String(jwk['d']).slice(0, 16))
  })
})

function faultsOf(env: Environment): readonly { readonly setting: string; readonly fault: string }[] {
  try {
    readSettings(env)
  } catch (error) {
    if (isConfigurationFault(error)) return error.faults
    throw error
  }
  throw new Error('the settings were accepted')
}
