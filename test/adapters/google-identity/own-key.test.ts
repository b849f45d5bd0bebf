import { importPKCS8 } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseOwnKey } from '../../../src/google/service-account-key.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { createRsaKeyPem } from '../../support/rsa-key.ts'

let pem = ''

beforeAll(async () => {
  pem = (await createRsaKeyPem()).pkcs8
})

describe("the broker's key file", () => {
  test("Google's file is read, and its token_uri plays no part (P29)", async () => {
    const reading = parseOwnKey(keyFile())
    if (!reading.ok) throw new Error(reading.fault)
    const { value: key } = reading

    expect(key).toStrictEqual({
      clientEmail: 'downscope@acme.iam.gserviceaccount.com',
      keyId: 'key1',
      privateKey: new Secret(''),
    })
    expect(key.privateKey.reveal()).toBe(pem)
    await expect(importPKCS8(key.privateKey.reveal(), 'RS256')).resolves.toBeDefined()
  })

  test.each([
    ['', 'is no JSON object'],
    ['/etc/key.json', 'is no JSON object'],
    ['[]', 'is no JSON object'],
    ['{"type":"authorized_user"}', '"type"'],
    [{ client_email: 'nobody' }, '"client_email"'],
    [{ client_email: 7 }, '"client_email"'],
    [{ private_key_id: '' }, '"private_key_id"'],
    [{ private_key: '-----BEGIN RSA PRIVATE KEY-----\nhunter2' }, '"private_key"'],
    [{ private_key: '-----BEGIN PRIVATE KEY-----\\nhunter2' }, '"private_key"'],
    [{ private_key: undefined }, '"private_key"'],
  ])('P23: %j is refused with a reason that repeats nothing of it', (change, fault) => {
    const reading = parseOwnKey(typeof change === 'string' ? change : keyFile(change))

    expect(reading).toMatchObject({ ok: false, fault: expect.stringContaining(fault) as unknown })
    expect(JSON.stringify(reading)).not.toMatch(/hunter2|etc\/key/)
  })
})

function keyFile(change: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    type: 'service_account',
    project_id: 'acme',
    private_key_id: 'key1',
    private_key: pem,
    client_email: 'downscope@acme.iam.gserviceaccount.com',
    token_uri: 'https://elsewhere.example/token',
    ...change,
  })
}
