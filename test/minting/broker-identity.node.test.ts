import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/setting.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { seconds } from '../../src/domain/time.ts'
import { federatedPrincipal } from '../support/google/workload-pools.ts'
import {
  CLOUD_PLATFORM,
  DRIVE,
  failureOf,
  PUBSUB,
  startMintWorld,
  STORAGE_READ,
  type MintWorld,
} from '../support/mint-world.ts'
import { createPrivateJwk, keySetText, poolProvider, readKeys } from '../support/signing-key-set.ts'

const me = 'downscope@acme.iam.gserviceaccount.com'
const target = 'target@acme.iam.gserviceaccount.com'
const user = 'ann@acme.example'
const principal = federatedPrincipal(poolProvider, 'downscope')

let world: MintWorld
let file: Awaited<ReturnType<MintWorld['google']['createServiceAccount']>>
let federation: Environment

beforeEach(async () => {
  world = await startMintWorld()
  file = await world.google.createServiceAccount({ email: me, delegatedScopes: { [user]: [DRIVE] } })
  await world.google.createServiceAccount({ email: target })
  world.google.runAs(me)
  await world.enrol('me', { type: 'broker_identity' })
  await world.enrol('target', { type: 'impersonation', service_account: target })
  federation = await trusted()
})
afterEach(async () => {
  await world.background.settled()
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

/** Settings of a federation that the stand-in trusts. */
async function trusted(): Promise<Environment> {
  const key = await createPrivateJwk('first')
  world.google.putPoolProvider({
    audience: poolProvider,
    issuer: 'https://tokens.acme.example',
    jwks: { keys: readKeys(key).map(({ published }) => published) },
  })
  world.google.allowImpersonation(principal, me)
  return { DOWNSCOPE_SIGNING_KEYS: keySetText(key), DOWNSCOPE_GOOGLE_FEDERATION: poolProvider }
}

const settingsOf = (who: Who): Environment => {
  switch (who) {
    case 'the metadata server of Cloud Run':
      return {}
    case 'its own key':
      return { DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(file) }
    case 'federation':
      return federation
    case 'federation and a service account':
      return { ...federation, DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: me }
  }
}
const everyone = [
  'the metadata server of Cloud Run',
  'its own key',
  'federation and a service account',
  'federation',
] as const
type Who = (typeof everyone)[number]
const accounts = everyone.slice(0, 3)

const mintAs = async (who: Who, scopes: readonly string[], more: Partial<Grant> = {}, name = 'me') =>
  world
    .createInstance('own', world.identityOf(settingsOf(who)))
    .mint(await world.grantFor(name, scopes, more))
const signedUrl = {
  tokenType: 'signature',
  audience: 'gs://reports',
  toSign: { form: 'url', method: 'GET', bucket: 'reports', object: 'a.csv', lifetime: seconds(900) },
} as const
const signedJwt = {
  tokenType: 'signature',
  audience: 'https://warehouse.example',
  toSign: { form: 'jwt', claimed: [], jti: 'one' },
} as const
const issued = (token: { readonly secret: { reveal(): string } }) => world.google.token(token.secret.reveal())

describe.each(everyone)('the broker by %s', (who) => {
  test('P13: gives a token of the scopes that were asked for and no others', async () => {
    const token = await mintAs(who, [STORAGE_READ])
    expect(issued(token)).toMatchObject({
      scopes: [STORAGE_READ],
      subject: who === 'federation' ? principal : me,
    })
    expect(token.scopes).toEqual([STORAGE_READ])
    expect(token.drawnFrom).toEqual([(await world.administration.read('me')).version])
    expect(token.expiresAt - token.issuedAt).toBeGreaterThan(3500)
  })

  test('acts for the accounts that it may act for, and asks for itself once', async () => {
    const refused = await failureOf(mintAs(who, [STORAGE_READ], {}, 'target'))
    expect(refused.reason).toContain(`missing for the broker's own identity on ${target}`)
    world.google.allowImpersonation(who === 'federation' ? principal : me, target)
    const { mint } = world.createInstance('own', world.identityOf(settingsOf(who)))
    const first = await mint(await world.grantFor('target', [STORAGE_READ]))
    const before = world.google.calls.count()
    const second = await mint(await world.grantFor('target', [PUBSUB]))
    expect([issued(first)?.scopes, issued(second)?.scopes]).toEqual([[STORAGE_READ], [PUBSUB]])
    expect(issued(second)?.subject).toBe(target)
    expect(world.google.calls.count()).toBe(before + 1)
  })

  test('without a scope nobody is asked', async () => {
    expect((await failureOf(mintAs(who, []))).code).toBe('scope_refused')
    expect((await failureOf(mintAs(who, [], { tokenType: 'api_key' }))).code).toBe('target_unavailable')
    expect(world.google.calls.count()).toBe(0)
  })
})

describe.each(accounts)('the broker, a service account by %s,', (who) => {
  test('P13: gives an ID token for the granted audience', async () => {
    const token = await mintAs(who, [], { tokenType: 'id_token', audience: 'https://service.example' })
    expect(decodeJwt(token.secret.reveal())).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: 'https://service.example',
      email: me,
      exp: token.expiresAt,
    })
  })

  test('acts for a user by domain-wide delegation, once Google signs for it', async () => {
    const refused = await failureOf(mintAs(who, [DRIVE], { subject: user }))
    expect(refused.reason).toContain(
      `(iam.serviceAccounts.signJwt) is missing for the broker's own identity on ${me}`,
    )
    world.google.allowImpersonation(me, me)
    const token = await mintAs(who, [DRIVE], { subject: user })
    expect(issued(token)).toMatchObject({ subject: user, actor: me, scopes: [DRIVE] })
  })

  test('T1: a URL is signed by Google, once the account may sign for itself', async () => {
    const refused = await failureOf(mintAs(who, [], signedUrl))
    expect([refused.code, refused.reason]).toEqual([
      'target_unavailable',
      expect.stringContaining(
        `(iam.serviceAccounts.signBlob) is missing for the broker's own identity on ${me}`,
      ),
    ])
    world.google.allowImpersonation(me, me)
    world.google.script.iamCredentials.always({ do: 'amend', members: { signedBlob: '!' } })
    expect((await failureOf(mintAs(who, [], signedUrl))).reason).toContain('no usable signedBlob')
    world.google.script.iamCredentials.clear()
    const token = await mintAs(who, [], signedUrl)
    const url = token.secret.reveal()
    expect(world.google.judgeSignedUrl('GET', url)).toEqual({
      account: me,
      bucket: 'reports',
      object: 'a.csv',
    })
    expect(world.google.judgeSignedUrl('PUT', url)).toBeUndefined()
    expect([token.tokenType, token.expiresAt - token.issuedAt]).toEqual(['signature', 900])
  })

  test('T2: a JWT is the one that the broker built, signed by Google', async () => {
    world.google.allowImpersonation(me, me)
    const claims = decodeJwt((await mintAs(who, [], signedJwt)).secret.reveal())
    expect(claims).toMatchObject({ iss: me, sub: me, aud: 'https://warehouse.example', jti: 'one' })
    expect(Object.keys(claims).toSorted()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sub'])
  })
})

describe('a federated principal', () => {
  test('is no service account: it has no ID token, signs and acts for nobody, and says what to set', async () => {
    const grant = { tokenType: 'id_token', audience: 'https://service.example' } as const
    for (const refused of [
      await failureOf(mintAs('federation', [], grant)),
      await failureOf(mintAs('federation', [], signedUrl)),
      await failureOf(mintAs('federation', [], signedJwt)),
      await failureOf(mintAs('federation', [DRIVE], { subject: user })),
    ])
      expect([refused.code, refused.reason]).toEqual([
        'target_unavailable',
        expect.stringContaining('DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT'),
      ])
    expect(world.google.calls.count()).toBe(0)
  })
})

describe('the metadata server', () => {
  const onRun = 'the metadata server of Cloud Run'

  test('P13: of Compute Engine ignores the scopes: such a token is refused, and the reason says why', async () => {
    world.google.runAs(me, { respectsScopes: false, scopes: [CLOUD_PLATFORM, STORAGE_READ] })
    const refused = await failureOf(mintAs(onRun, [STORAGE_READ]))
    expect(refused.code).toBe('target_unavailable')
    expect(refused.reason).toContain(
      `gave a token of ${CLOUD_PLATFORM} ${STORAGE_READ} where ${STORAGE_READ} was`,
    )
    expect(refused.reason).toContain('enrol an impersonation of the account')
  })

  test('of a machine that was made with those scopes alone will do', async () => {
    world.google.runAs(me, { respectsScopes: false, scopes: [STORAGE_READ] })
    expect(issued(await mintAs(onRun, [STORAGE_READ]))?.scopes).toEqual([STORAGE_READ])
    expect((await failureOf(mintAs(onRun, [PUBSUB]))).code).toBe('target_unavailable')
  })

  test('P13: a token that has less than was asked says so', async () => {
    world.google.runAs(me, { respectsScopes: false, scopes: [STORAGE_READ] })
    expect((await mintAs(onRun, [STORAGE_READ, PUBSUB])).scopes).toEqual([STORAGE_READ])
  })

  test('is believed only after Google was asked what the token carries', async () => {
    await mintAs(onRun, [STORAGE_READ])
    expect(world.google.calls.all().map(({ endpoint, method }) => `${method} ${endpoint}`)).toEqual([
      'GET metadata',
      'POST tokeninfo',
    ])
  })

  test('P13: nobody who says what the token carries, no token', async () => {
    world.google.script.tokeninfo.always({ do: 'answer', status: 200, body: { expires_in: '3599' } })
    expect((await failureOf(mintAs(onRun, [STORAGE_READ]))).reason).toContain('names no scope')
    world.google.script.tokeninfo.always({ do: 'refuse', as: 'tokeninfo_bad' })
    const refused = await failureOf(mintAs(onRun, [STORAGE_READ]))
    expect([refused.code, refused.reason]).toEqual([
      'upstream_unavailable',
      expect.stringContaining("Google's tokeninfo answered 400"),
    ])
  })

  test('that knows no service account, or is none, is not available rather than wrong', async () => {
    world.google.runAs()
    const refused = await failureOf(mintAs(onRun, [STORAGE_READ]))
    expect([refused.code, refused.retryAfter]).toEqual(['upstream_unavailable', 2])
    expect(refused.reason).toContain('Google answered 404')
    world.google.script.metadata.always({ do: 'answer', status: 200, body: { access_token: 'a' } })
    expect((await failureOf(mintAs(onRun, [STORAGE_READ]))).reason).toContain("not Google's metadata server")
  })

  test('P13: an ID token for another audience is refused', async () => {
    const grant = { tokenType: 'id_token', audience: 'https://service.example' } as const
    const other = (await mintAs(onRun, [], { ...grant, audience: 'https://other.example' })).secret.reveal()
    world.google.script.metadata.next(1, {
      do: 'answer',
      status: 200,
      body: other,
      headers: { 'metadata-flavor': 'Google' },
    })
    expect((await failureOf(mintAs(onRun, [], grant))).reason).toContain('another audience')
  })

  test('an access boundary lies on top of the broker’s own token', async () => {
    const boundary = [
      {
        availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
        availablePermissions: ['inRole:roles/storage.objectViewer'],
      },
    ]
    const token = await mintAs(onRun, [STORAGE_READ], { boundary })
    expect(issued(token)).toMatchObject({
      kind: 'downscoped',
      scopes: [STORAGE_READ],
      boundary: { accessBoundaryRules: boundary },
    })
  })
})
