import { beforeEach, describe, expect, test } from 'vitest'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { createAdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import { createCredentialWorld } from '../support/credential-world.ts'
import { createLogBook } from '../support/quiet.ts'
import { finderOf } from '../support/upstreams.ts'

const account = 'reports@acme.iam.gserviceaccount.com'
const middle = 'middle@acme.iam.gserviceaccount.com'
const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'
const googlesUrl = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${account}:generateAccessToken`

let world: ReturnType<typeof createWorld>

beforeEach(() => {
  world = createWorld()
})

function createWorld() {
  const { credentials, clock } = createCredentialWorld()
  const book = createLogBook()
  return {
    credentials,
    book,
    ...createAdministerCredentials({ credentials, findUpstream: finderOf(), log: book.log, clock }),
  }
}

const enrol = (name: string, secret: object, scopes?: unknown) =>
  world.enrol({ name, secret, ...(scopes === undefined ? {} : { scopes }) })
const secretOf = async (name: string) => {
  const { version } = await world.read(name)
  return (await world.credentials.openSecret(name, version)).secret
}
const faultOf = async (secret: object, scopes?: unknown) => {
  const failure = await enrol('x', secret, scopes).catch((error: unknown) => error)
  if (!isBrokerError(failure)) throw new Error('it was enrolled', { cause: failure })
  expect(failure.code).toBe('document_invalid')
  return failure.publicDetail
}
const user = (scopes: readonly string[]) =>
  enrol('user', { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' }, scopes)

describe('impersonation', () => {
  test('our own form: the account, the delegates in their order, and the source by name', async () => {
    await enrol('robot', { type: 'broker_identity' })
    const summary = await enrol('reports', {
      type: 'impersonation',
      service_account: account,
      delegates: [middle, 'last@acme.iam.gserviceaccount.com'],
      source: 'robot',
    })
    expect(summary).toMatchObject({ kind: 'impersonation', identity: account, source: 'robot' })
    expect(await secretOf('reports')).toEqual({
      kind: 'impersonation',
      serviceAccount: account,
      delegates: [middle, 'last@acme.iam.gserviceaccount.com'],
    })
  })

  test("P29: of Google's file the account and the delegates are taken, no address and no secret", async () => {
    const summary = await enrol('reports', {
      type: 'impersonated_service_account',
      service_account_impersonation_url: `https://evil.example/v1/projects/-/serviceAccounts/${account}:generateAccessToken`,
      delegates: [`projects/-/serviceAccounts/${middle}`],
      source_credentials: {
        type: 'authorized_user',
        refresh_token: '1//0-very-secret',
        client_secret: 'GOCSPX',
      },
      quota_project_id: 'acme',
    })
    expect(summary).toMatchObject({ kind: 'impersonation', identity: account })
    expect(summary).not.toHaveProperty('source')
    expect(await secretOf('reports')).toEqual({
      kind: 'impersonation',
      serviceAccount: account,
      delegates: [middle],
    })
    expect(world.book.lines).toMatchObject([
      { level: 'warn', fields: { ignored: ['service_account_impersonation_url', 'source_credentials'] } },
    ])
    expect(JSON.stringify(world.book.lines)).not.toContain('very-secret')
  })

  test("Google's own address is nothing to warn of", async () => {
    const file = { type: 'impersonated_service_account', service_account_impersonation_url: googlesUrl }
    expect((await enrol('reports', file)).identity).toBe(account)
    expect(world.book.lines).toEqual([])
  })

  test.each<[object, string]>([
    [{}, 'service_account: is missing'],
    [{ service_account: 'ann@acme.example' }, "no service account's e-mail address"],
    [{ service_account: `${account}:signJwt/../x` }, "no service account's e-mail address"],
    [{ service_account: account, delegates: 'a' }, 'delegates'],
    [{ service_account: account, delegates: ['ann@acme.example'] }, 'delegates'],
    [{ service_account: account, delegates: Array.from({ length: 11 }, () => middle) }, 'at most 10'],
    [{ service_account: account, source: 'A B' }, 'source: must be the name'],
    [{ service_account: account, sorce: 'robot' }, 'members type, service_account, delegates, source only'],
    [{ service_account: account, source: 'nobody' }, 'no credential of that name'],
    [{ service_account: account, source: 'x' }, 'no credential of that name'],
  ])('%j is refused', async (members, told) => {
    expect(await faultOf({ type: 'impersonation', ...members })).toContain(told)
  })

  test.each(['', 'https://iamcredentials.googleapis.com/', `${googlesUrl}/x`, 7])(
    "Google's file with the address %j names no account",
    async (url) => {
      const file = { type: 'impersonated_service_account', service_account_impersonation_url: url }
      expect(await faultOf(file)).toContain('service_account_impersonation_url')
    },
  )

  test('a source that can act for nobody is refused', async () => {
    await enrol('key', { type: 'api_key', key: 'AIza-secret' })
    await enrol('first', { type: 'impersonation', service_account: middle })
    await user(['openid'])
    const from = (source: string) => faultOf({ type: 'impersonation', service_account: account, source })
    expect(await from('key')).toContain('api_key of google')
    expect(await from('first')).toContain('impersonation of google')
    expect(await from('user')).toContain(`was not consented ${cloudPlatform}`)
  })

  test('a user who consented cloud-platform may be the source', async () => {
    await user([cloudPlatform])
    const file = { type: 'impersonation', service_account: account, source: 'user' }
    expect((await enrol('reports', file)).source).toBe('user')
  })

  test('scopes were consented by nobody', async () => {
    expect(await faultOf({ type: 'impersonation', service_account: account }, ['a'])).toContain('scopes:')
  })
})

describe("the broker's own identity", () => {
  test('has nothing to keep', async () => {
    expect(await enrol('me', { type: 'broker_identity' })).toMatchObject({ kind: 'broker_identity' })
    expect(await secretOf('me')).toEqual({ kind: 'broker_identity' })
    expect(await faultOf({ type: 'broker_identity', service_account: account })).toContain('type only')
  })
})

describe('an API key', () => {
  test('P23: is kept, told apart by its id, and never shown', async () => {
    const summary = await enrol('maps', { type: 'api_key', key: 'AIza-very-secret', key_id: 'uid-1' })
    expect(summary).toMatchObject({ kind: 'api_key', identity: 'API key', keyId: 'uid-1' })
    const secret = await secretOf('maps')
    expect(secret.kind === 'api_key' && secret.key.reveal()).toBe('AIza-very-secret')
    expect(JSON.stringify([summary, secret, await world.list({})])).not.toContain('very-secret')
  })

  test.each<[object, string]>([
    [{}, 'key: is missing'],
    [{ key: '' }, 'key: is empty'],
    [{ key: 'with space' }, 'white space'],
    [{ key: 'AIza', restrictions: [] }, 'members type, key, key_id only'],
    [{ key: 'AIza', key_id: 7 }, 'key_id: must be a string'],
  ])('%j is refused', async (members, told) => {
    expect(await faultOf({ type: 'api_key', ...members })).toContain(told)
  })
})
