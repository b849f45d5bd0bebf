import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accessToken, assert, callJson, READ } from './ask.ts'
import { isObject } from './reply.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import { type CertificateToMake, makeCertificate } from './self-signed.ts'
import type { ServiceAccountFile } from './service-accounts.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
let admin: ServiceAccountFile
let account: ServiceAccountFile
let bearer: string
let now = Math.floor(Date.now() / 1000)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

beforeAll(async () => {
  google = await startGoogleStandIn({ now: () => now })
  admin = await google.createServiceAccount()
  bearer = accessToken(await assert(google, admin, { scope: CLOUD_PLATFORM }, { now }))
})
beforeEach(async () => {
  google.tune({ keyPropagation: 0, keyCreationDisabled: false, keyUploadDisabled: false })
  account = await google.createServiceAccount()
  google.allowKeyAdministration(admin.client_email, account.client_email)
})
afterAll(() => google.close())

const url = (rest = '', project = '-', email = account.client_email) =>
  `${google.endpoints.GOOGLE_IAM_URL}/v1/projects/${project}/serviceAccounts/${email}/keys${rest}`
const post = (rest: string, body: unknown = {}) => callJson(url(rest), { bearer, body })
const get = (rest: string) => callJson(url(rest), { method: 'GET', bearer })
const idOf = (name: unknown) => String(name).split('/').at(-1) ?? ''
const upload = (options: Partial<CertificateToMake> = {}) => {
  const pem = makeCertificate({ ...rsa, ...options })
  return post(':upload', { publicKeyData: Buffer.from(pem).toString('base64') })
}
const uploadedFile = (name: unknown): ServiceAccountFile => ({
  ...account,
  private_key: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  private_key_id: idOf(name),
})

function fileIn(privateKeyData: unknown): ServiceAccountFile {
  const file: unknown = JSON.parse(Buffer.from(String(privateKeyData), 'base64').toString())
  if (!isObject(file)) throw new Error('no key file')
  const text = (name: string) => String(file[name])
  return { ...account, private_key: text('private_key'), private_key_id: text('private_key_id') }
}

async function listed(query = '?keyTypes=USER_MANAGED'): Promise<readonly unknown[]> {
  const keys: unknown = (await get(query)).body['keys']
  return Array.isArray(keys) ? keys.map((key: unknown) => key) : []
}

describe('creating a key', () => {
  test('gives a key file that works', async () => {
    const body = { privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE', keyAlgorithm: 'KEY_ALG_RSA_2048' }
    const created = await post('', body)
    expect(created.body).toMatchObject({
      validBeforeTime: '9999-12-31T23:59:59Z',
      keyOrigin: 'GOOGLE_PROVIDED',
      keyType: 'USER_MANAGED',
    })
    expect(created.body['name']).toMatch(
      new RegExp(`^projects/acme/serviceAccounts/${account.client_email}/keys/[0-9a-f]{40}$`),
    )
    const file = fileIn(created.body['privateKeyData'])
    expect(file.private_key_id).toBe(idOf(created.body['name']))
    expect((await assert(google, file, {}, { now })).status).toBe(200)
  })

  test('works only when it has propagated', async () => {
    google.tune({ keyPropagation: 20 })
    const file = fileIn((await post('')).body['privateKeyData'])
    expect((await assert(google, file, {}, { now })).body['error_description']).toBe('Invalid JWT Signature.')
    now += 20
    expect((await assert(google, file, {}, { now })).status).toBe(200)
  })

  test('the eleventh user-managed key fails a precondition, a disabled one counts', async () => {
    for (let key = 2; key <= 10; key += 1) expect((await upload()).status).toBe(200)
    expect(await listed()).toHaveLength(10)
    await post(`/${account.private_key_id}:disable`)
    for (const refused of [await post(''), await upload()]) {
      expect(refused.status).toBe(400)
      expect(refused.body).toEqual({
        error: { code: 400, message: 'Precondition check failed.', status: 'FAILED_PRECONDITION' },
      })
    }
    await callJson(url(`/${account.private_key_id}`), { method: 'DELETE', bearer })
    expect((await post('')).status).toBe(200)
  })

  test('the organisation’s policies forbid creation and upload one by one', async () => {
    google.tune({ keyCreationDisabled: true })
    const creation = await post('')
    expect(creation.status).toBe(400)
    expect(creation.body).toMatchObject({
      error: {
        status: 'FAILED_PRECONDITION',
        message: 'Key creation is not allowed on this service account.',
        details: [{ violations: [{ type: 'constraints/iam.disableServiceAccountKeyCreation' }] }],
      },
    })
    expect((await upload()).status).toBe(200)
    google.tune({ keyCreationDisabled: false, keyUploadDisabled: true })
    expect(JSON.stringify((await upload()).body)).toContain('constraints/iam.disableServiceAccountKeyUpload')
    expect((await post('')).status).toBe(200)
  })

  test('an unknown member is refused, a key type that is not built answers 501', async () => {
    expect((await post('', { nonsense: 1 })).status).toBe(400)
    expect((await post('', { privateKeyType: 'TYPE_PKCS12_FILE' })).status).toBe(501)
    expect((await post('', { keyAlgorithm: 'KEY_ALG_RSA_1024' })).status).toBe(501)
  })
})

describe('uploading a certificate', () => {
  test('makes its key verify assertions, to the end of the certificate', async () => {
    const notAfter = new Date((now + 1000) * 1000)
    const { body } = await upload({ notAfter })
    expect(body).toMatchObject({ keyOrigin: 'USER_PROVIDED', keyType: 'USER_MANAGED' })
    expect(body['validBeforeTime']).toBe(notAfter.toISOString().replace('.000Z', 'Z'))
    const file = uploadedFile(body['name'])
    expect((await assert(google, file, {}, { now })).status).toBe(200)
    now += 1000
    expect((await assert(google, file, {}, { now })).body['error_description']).toBe('Invalid JWT Signature.')
  })

  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  test.each([
    ['of version 1', { version: 1 }],
    ['that has expired', { notAfter: new Date(1000) }],
    ['whose signature is wrong', { isBroken: true }],
    ['of an elliptic-curve key', ec],
    ['of a short RSA key', small],
  ] as const)('a certificate %s is INVALID_ARGUMENT', async (_, options) => {
    expect((await upload(options)).body).toMatchObject({ error: { status: 'INVALID_ARGUMENT' } })
    expect((await upload()).status).toBe(200)
  })

  test('DER without BEGIN and END lines is INVALID_ARGUMENT', async () => {
    const der = makeCertificate(rsa).replaceAll(/-----.*-----|\n/g, '')
    expect((await post(':upload', { publicKeyData: der })).status).toBe(400)
    expect((await post(':upload', {})).status).toBe(400)
  })
})

describe('keys', () => {
  test('are listed with the system-managed one unless filtered, and got one by one', async () => {
    const { body } = await upload()
    const name = String(body['name'])
    expect(await listed()).toHaveLength(2)
    expect(await listed('?keyTypes=SYSTEM_MANAGED')).toHaveLength(1)
    expect(await listed('')).toHaveLength(3)
    expect((await get('?keyTypes=OTHER')).status).toBe(400)
    expect((await get('?pageSize=5')).status).toBe(400)
    const one = await get(`/${idOf(name)}?publicKeyType=TYPE_X509_PEM_FILE`)
    expect(one.body['name']).toBe(name)
    expect(Buffer.from(String(one.body['publicKeyData']), 'base64').toString()).toContain('BEGIN CERTIFICATE')
    expect((await get(`/${'0'.repeat(40)}`)).status).toBe(404)
  })

  test('a disabled key is refused until it is enabled', async () => {
    const key = account.private_key_id
    expect((await post(`/${key}:disable`)).body).toEqual({})
    expect((await get(`/${key}`)).body['disabled']).toBe(true)
    expect((await assert(google, account, {}, { now })).body['error_description']).toBe(
      'Invalid JWT Signature.',
    )
    await post(`/${key}:enable`)
    expect((await assert(google, account, {}, { now })).status).toBe(200)
  })

  test('a deleted key is refused for good, tokens minted before live on', async () => {
    const value = accessToken(await assert(google, account, { scope: CLOUD_PLATFORM }, { now }))
    google.allowImpersonation(account.client_email, admin.client_email)
    const key = url(`/${account.private_key_id}`)
    expect((await callJson(key, { method: 'DELETE', bearer })).body).toEqual({})
    expect((await assert(google, account, {}, { now })).body['error_description']).toBe(
      'Invalid JWT Signature.',
    )
    expect((await callJson(key, { method: 'DELETE', bearer })).status).toBe(404)
    const use = `${google.endpoints.GOOGLE_IAM_CREDENTIALS_URL}/v1/projects/-/serviceAccounts/${admin.client_email}:generateAccessToken`
    expect((await callJson(use, { bearer: value, body: { scope: [READ] } })).status).toBe(200)
  })

  test('a system-managed key cannot be deleted', async () => {
    const [system] = await listed('?keyTypes=SYSTEM_MANAGED')
    const id = idOf(isObject(system) ? system['name'] : '')
    const answer = await callJson(url(`/${id}`), { method: 'DELETE', bearer })
    expect(answer.body).toMatchObject({ error: { status: 'FAILED_PRECONDITION' } })
  })
})

describe('access', () => {
  test('without permission is 403, without a token 401, in another project 404', async () => {
    expect((await callJson(url(), { method: 'GET' })).status).toBe(401)
    const other = await google.createServiceAccount()
    const denied = await callJson(url('', '-', other.client_email), { method: 'GET', bearer })
    expect(denied.status).toBe(403)
    expect(JSON.stringify(denied.body)).toContain('iam.serviceAccountKeys.list')
    expect((await callJson(url('', 'other'), { method: 'GET', bearer })).status).toBe(404)
    expect((await callJson(url('', 'acme'), { method: 'GET', bearer })).status).toBe(200)
    google.denyKeyAdministration(admin.client_email, account.client_email)
    expect((await get('')).status).toBe(403)
  })
})
