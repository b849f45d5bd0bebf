import { importPKCS8 } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'
import { createAdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import { createCredentialWorld } from '../support/credential-world.ts'
import { createLogBook } from '../support/quiet.ts'
import { createEcKeyPem, createRsaKeyPem, octetsOf, pemOf } from '../support/rsa-key.ts'
import { finderOf } from '../support/upstreams.ts'

const DRIVE = 'https://www.googleapis.com/auth/drive'
let key: { readonly pkcs8: string; readonly pkcs1: string }
let world: ReturnType<typeof createWorld>

beforeAll(async () => {
  key = await createRsaKeyPem()
})
beforeEach(() => {
  world = createWorld()
})

function createWorld() {
  const credentials = createCredentialWorld()
  const book = createLogBook()
  const { enrol, ...rest } = createAdministerCredentials({
    credentials: credentials.credentials,
    findUpstream: finderOf(),
    log: book.log,
    clock: credentials.clock,
  })
  return { ...credentials, book, enrol, ...rest }
}

const keyFile = (change: Readonly<Record<string, unknown>> = {}) => ({
  type: 'service_account',
  project_id: 'acme',
  private_key_id: 'k1',
  private_key: key.pkcs8,
  client_email: 'reports@acme.iam.gserviceaccount.com',
  client_id: '1234',
  auth_uri: 'https://accounts.google.com/o/oauth2/auth',
  token_uri: 'https://oauth2.googleapis.com/token',
  universe_domain: 'googleapis.com',
  ...change,
})
const userFile = (change: Readonly<Record<string, unknown>> = {}) => ({
  type: 'authorized_user',
  client_id: 'client-1.apps.googleusercontent.com',
  client_secret: 'GOCSPX-very-secret-indeed',
  refresh_token: '1//0very-secret-refresh-token',
  ...change,
})

async function failureOf(promise: Promise<unknown>): Promise<BrokerError> {
  const outcome: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (isBrokerError(outcome)) return outcome
  throw new Error('no planned failure', { cause: outcome })
}

/** The public detail of a refusal; no word of the secrets may be in it. */
async function refusalOf(file: unknown, more: { scopes?: unknown; upstream?: unknown } = {}) {
  const failure = await failureOf(world.enrol({ name: 'reports-sa', secret: file, ...more }))
  expect(failure.code).toBe('document_invalid')
  const told = `${failure.message} ${failure.publicDetail}`
  const texts = [key.pkcs8, 'GOCSPX-very-secret-indeed', '1//0very-secret-refresh-token']
  for (const text of texts
    .flatMap((one) => one.split('\n'))
    .filter((line) => line.length > 30 || /secret/.test(line)))
    expect(told).not.toContain(text)
  return failure.publicDetail
}

describe('enrolling Google’s own files as they are', () => {
  test('a service account’s key is kept sealed, and shown without secrets', async () => {
    const summary = await world.enrol({ name: 'reports-sa', secret: keyFile() })
    expect(summary).toMatchObject({
      name: 'reports-sa',
      kind: 'service_account_key',
      upstream: 'google',
      state: 'enabled',
      identity: 'reports@acme.iam.gserviceaccount.com',
      keyId: 'k1',
    })
    expect(JSON.stringify(await world.list({}))).not.toContain('PRIVATE KEY')
    const { secret } = await world.credentials.openSecret('reports-sa', summary.version)
    expect(secret.kind === 'service_account_key' && secret.privateKey.reveal()).toBe(key.pkcs8)
  })

  test('a PKCS#1 key becomes the same key in PKCS#8', async () => {
    const { version } = await world.enrol({ name: 'old-tool', secret: keyFile({ private_key: key.pkcs1 }) })
    const { secret } = await world.credentials.openSecret('old-tool', version)
    const pem = secret.kind === 'service_account_key' ? secret.privateKey.reveal() : ''
    expect(octetsOf(pem)).toEqual(octetsOf(key.pkcs8))
    expect((await importPKCS8(pem, 'RS256')).type).toBe('private')
  })

  test('line ends of Windows do not matter', async () => {
    const windows = key.pkcs8.replaceAll('\n', '\r\n')
    expect((await world.enrol({ name: 'w', secret: keyFile({ private_key: windows }) })).name).toBe('w')
  })

  test('a refresh token is kept with its consented scopes, listed or in one text', async () => {
    const listed = await world.enrol({ name: 'a', secret: userFile(), scopes: [DRIVE, 'openid'] })
    const text = await world.enrol({
      name: 'b',
      secret: userFile(),
      scopes: `openid ${DRIVE}`,
      upstream: 'google',
    })
    expect(listed.consentedScopes).toEqual([DRIVE, 'openid'])
    expect(text.consentedScopes).toEqual(listed.consentedScopes)
    expect(listed.kind).toBe('refresh_token')
  })

  test('P29: another token_uri is data: taken, logged by name, and kept nowhere', async () => {
    const evil = 'https://evil.example/token'
    await world.enrol({ name: 'reports-sa', secret: keyFile({ token_uri: evil }) })
    expect(world.book.lines).toMatchObject([{ level: 'warn', fields: { ignored: ['token_uri'] } }])
    const stored = await world.store.list({ prefix: 'credentials/', limit: 10 })
    expect(JSON.stringify([stored, world.book.lines])).not.toContain('evil.example')
  })

  test('a name that is taken stays what it was', async () => {
    const { version } = await world.enrol({ name: 'reports-sa', secret: keyFile() })
    const second = world.enrol({ name: 'reports-sa', secret: userFile(), scopes: [DRIVE] })
    expect((await failureOf(second)).code).toBe('already_exists')
    expect((await world.read('reports-sa')).version).toBe(version)
  })
})

describe('P25: what is refused says precisely why, and P23: quotes nothing', () => {
  test.each([
    ['an EC key', createEcKeyPem, 'is an EC key'],
    ['an EC key of OpenSSL', () => pemOf('EC PRIVATE KEY', Uint8Array.of(0x30, 0)), 'is an EC key'],
    ['an encrypted key', () => pemOf('ENCRYPTED PRIVATE KEY', Uint8Array.of(0x30, 0)), 'is encrypted'],
    ['a key without its end', () => key.pkcs8.slice(0, 800), 'is cut off: it has no END line'],
    [
      'a key without its middle',
      () => key.pkcs8.split('\n').toSpliced(5, 9).join('\n'),
      'is cut off: its body is too short',
    ],
    ['an escaped key', () => key.pkcs8.replaceAll('\n', '\\n'), 'escaped twice'],
    ['a public key', () => pemOf('PUBLIC KEY', Uint8Array.of(0x30, 0)), 'is not a PEM block of the kind'],
    [
      'a key of something else',
      () => pemOf('PRIVATE KEY', Uint8Array.of(0x30, 1, 0)),
      'is not an RSA private key',
    ],
    ['a body that is not base64', () => key.pkcs8.replace('M', '%'), 'has a body that is not base64'],
    ['two keys', () => key.pkcs8 + key.pkcs8, 'private_key: '],
    ['no PEM', () => 'secret', 'is not PEM'],
    ['white space', () => ' \n', 'private_key: is empty'],
  ])('%s', async (_, make, fault) => {
    expect(await refusalOf(keyFile({ private_key: await make() }))).toContain(fault)
  })

  test('an RSA key of 1024 bits', async () => {
    const { pkcs8 } = await createRsaKeyPem(1024)
    expect(await refusalOf(keyFile({ private_key: pkcs8 }))).toContain('2048')
  })

  test('a damaged key that still looks like one', async () => {
    const der = octetsOf(key.pkcs8)
    for (const place of [40, 400, 600, 800, 900, 1000, der.length - 20]) {
      const damaged = der.with(place, (der[place] ?? 0) ^ 1)
      expect([place, await refusalOf(keyFile({ private_key: pemOf('PRIVATE KEY', damaged) }))]).toEqual([
        place,
        expect.stringContaining('secret.private_key: '),
      ])
    }
  })

  test.each([
    ['no object', 'x', 'must be the JSON object of a credential file'],
    ['null', null, 'must be the JSON object'],
    ['a list', [], 'must be the JSON object'],
    ['an empty object', {}, 'secret.type: is missing'],
    ['a type that may be a secret', { type: 'GOCSPX-very-secret-indeed' }, 'secret.type: must be'],
    ['external_account', { type: 'external_account' }, '"external_account" is not supported'],
    [
      'half a file',
      { type: 'service_account' },
      'secret.client_email: is missing; secret.private_key_id: is missing',
    ],
    [
      'half a user',
      { type: 'authorized_user', client_id: '' },
      'secret.client_id: is empty; secret.client_secret',
    ],
  ])('%s', async (_, file, fault) => {
    expect(await refusalOf(file, { scopes: undefined })).toContain(fault)
  })

  test.each([
    ['no address', { client_email: 'nobody' }, 'client_email: is not an e-mail address'],
    ['a number', { private_key_id: 7 }, 'private_key_id: must be a string'],
    ['another universe', { universe_domain: 'evil.example' }, 'universe_domain: only googleapis.com'],
  ])('a service account with %s', async (_, change, fault) => {
    expect(await refusalOf(keyFile(change))).toContain(fault)
  })

  test.each([undefined, [], '', 'a"b', ['a b'], [7], {}, ['']])(
    'a refresh token with the scopes %j',
    async (scopes) => {
      expect(await refusalOf(userFile(), { scopes })).toContain('scopes: ')
    },
  )

  test('a refresh token with a line end, scopes for a key, and another upstream', async () => {
    expect(await refusalOf(userFile({ refresh_token: '1//0very\n' }), { scopes: [DRIVE] })).toContain(
      'refresh_token',
    )
    expect(await refusalOf(keyFile(), { scopes: [DRIVE] })).toContain('limit it by the rules')
    expect(await refusalOf(keyFile(), { upstream: 'github' })).toContain('the name of an upstream')
  })

  test('a client that people consent to, with scopes of its own or more than its id and secret', async () => {
    const client = { type: 'oauth_client', client_id: 'app', client_secret: 'very-secret' }
    expect(await refusalOf(client, { scopes: [DRIVE] })).toContain('scopes: a client has none of its own')
    expect(await refusalOf({ ...client, token_uri: 'https://evil.example' })).toContain(
      'may have the members',
    )
    expect(await refusalOf({ ...client, client_id: '' })).toContain('secret.client_id: ')
  })

  test.each(['', 'A', '-a', 'a/b', 'a'.repeat(64), 'ä', '../a'])('the name "%s"', async (name) => {
    expect((await failureOf(world.enrol({ name, secret: keyFile() }))).publicDetail).toContain('name: ')
    for (const act of [world.read, world.disable, world.enable, world.destroy])
      expect((await failureOf(act(name))).code).toBe('not_found')
  })
})

describe('a credential’s life', () => {
  beforeEach(async () => {
    for (const name of ['a', 'b', 'c']) await world.enrol({ name, secret: userFile(), scopes: [DRIVE] })
  })

  test('lists in pages, in the order of names', async () => {
    expect((await world.list({ limit: 2 })).map(({ name }) => name)).toEqual(['a', 'b'])
    expect((await world.list({ after: 'b' })).map(({ name }) => name)).toEqual(['c'])
    expect((await failureOf(world.list({ after: '../x' }))).code).toBe('request_malformed')
  })

  test('a disabled one does not open, and comes back as it was', async () => {
    const { version } = await world.read('a')
    expect((await world.disable('a')).state).toBe('disabled')
    expect((await failureOf(world.credentials.openSecret('a', version))).code).toBe('target_unavailable')
    expect((await world.enable('a')).state).toBe('enabled')
    expect((await world.credentials.openSecret('a', version)).secret.kind).toBe('refresh_token')
  })

  test('a destroyed one is gone with its secret, and enrolled anew is another', async () => {
    const { version } = await world.read('a')
    await world.destroy('a')
    for (const act of [world.read, world.disable, world.enable, world.destroy])
      expect((await failureOf(act('a'))).code).toBe('not_found')
    expect((await world.enrol({ name: 'a', secret: userFile(), scopes: [DRIVE] })).version).not.toBe(version)
  })

  test('P25: a malformed document hides no other, and can be destroyed', async () => {
    await world.store.put('credentials/b', { schema: 1, name: 'b' })
    expect((await world.list({})).map(({ name }) => name)).toEqual(['a', 'c'])
    expect((await failureOf(world.read('b'))).code).toBe('store_unavailable')
    await world.destroy('b')
    expect((await failureOf(world.read('b'))).code).toBe('not_found')
  })

  test('P23: a document copied to another name lends its credential to nobody', async () => {
    const stored = await world.store.get('credentials/a')
    await world.store.put('credentials/c', stored?.value ?? {})
    expect((await failureOf(world.read('c'))).reason).toContain('moved')
    expect((await world.read('a')).name).toBe('a')
  })
})
