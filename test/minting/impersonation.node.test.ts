import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { seconds } from '../../src/domain/time.ts'
import {
  CLOUD_PLATFORM,
  DRIVE,
  failureOf,
  PUBSUB,
  startMintWorld,
  STORAGE_READ,
  type MintWorld,
} from '../support/mint-world.ts'

const target = 'target@acme.iam.gserviceaccount.com'
const middle = 'middle@acme.iam.gserviceaccount.com'
const user = 'ann@acme.example'

let world: MintWorld
let robot: string

beforeEach(async () => {
  world = await startMintWorld()
  const file = await world.google.createServiceAccount()
  robot = file.client_email
  await world.google.createServiceAccount({ email: target, delegatedScopes: { [user]: [DRIVE] } })
  world.google.allowImpersonation(robot, target)
  await world.enrol('robot', file)
  await world.enrol('reports', { type: 'impersonation', service_account: target, source: 'robot' })
})
afterEach(async () => {
  await world.background.settled()
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const mint = async (scopes: readonly string[], more: Partial<Grant> = {}, name = 'reports') =>
  world.mint(await world.grantFor(name, scopes, more))
const issued = (token: { readonly secret: { reveal(): string } }) => world.google.token(token.secret.reveal())
const calls = () => world.google.calls.all().map(({ grant }) => grant)
const health = async (name = 'reports') => {
  await world.background.settled()
  return (await world.administration.read(name)).health
}

describe('a token of an impersonated account', () => {
  test('P13: carries the scopes asked for and no others, though the source could have more', async () => {
    const token = await mint([STORAGE_READ])
    expect(issued(token)).toMatchObject({
      kind: 'impersonated',
      subject: target,
      actor: robot,
      scopes: [STORAGE_READ],
    })
    expect(token.scopes).toEqual([STORAGE_READ])
    expect((await health()).status).toBe('healthy')
  })

  test('the source is asked once for a token of cloud-platform, and the target each time', async () => {
    await mint([STORAGE_READ])
    await mint([PUBSUB])
    expect(calls()).toEqual(['jwt-bearer', 'generateAccessToken', 'generateAccessToken'])
    expect(world.google.tokens()[0]?.scopes).toEqual([CLOUD_PLATFORM])
  })

  test('P26: is drawn from the version of the source too', async () => {
    const [own, source] = [
      await world.administration.read('reports'),
      await world.administration.read('robot'),
    ]
    expect((await mint([STORAGE_READ])).drawnFrom).toEqual([own.version, source.version])
  })

  test('lives as long as was granted, really', async () => {
    const whole = await mint([STORAGE_READ])
    const short = await mint([STORAGE_READ], { lifetime: seconds(300) })
    expect(whole.expiresAt - whole.issuedAt).toBe(3600)
    expect(short.expiresAt - short.issuedAt).toBe(300)
    expect(issued(short)?.expiresAt).toBe(short.expiresAt)
  })

  test('lives twelve hours where the organisation policy allows it, and else says what is missing', async () => {
    const refused = await failureOf(mint([STORAGE_READ], { lifetime: seconds(43_200) }))
    expect([refused.code, refused.reason]).toEqual([
      'target_unavailable',
      expect.stringContaining('iam.allowServiceAccountCredentialLifetimeExtension'),
    ])
    const email = 'long@acme.iam.gserviceaccount.com'
    await world.google.createServiceAccount({ email, lifetimeExtended: true })
    world.google.allowImpersonation(robot, email)
    await world.enrol('long', { type: 'impersonation', service_account: email, source: 'robot' })
    const token = await mint([STORAGE_READ], { lifetime: seconds(43_200) }, 'long')
    expect(issued(token)?.expiresAt).toBe(world.clock.now() + 43_200)
  })

  test('a chain of delegates is walked in its order', async () => {
    await world.google.createServiceAccount({ email: middle })
    await world.enrol('chain', {
      type: 'impersonation',
      service_account: target,
      delegates: [middle],
      source: 'robot',
    })
    world.google.denyImpersonation(robot, target)
    world.google.allowImpersonation(robot, middle)
    const refused = await failureOf(mint([STORAGE_READ], {}, 'chain'))
    expect(refused.reason).toContain(`the source robot on ${middle}, or for ${middle} on ${target}`)
    world.google.allowImpersonation(middle, target)
    expect(issued(await mint([STORAGE_READ], {}, 'chain'))?.subject).toBe(target)
  })

  test('P13: an access boundary lies on top of it', async () => {
    const boundary: AccessBoundary = [
      {
        availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
        availablePermissions: ['inRole:roles/storage.objectViewer'],
      },
    ]
    const token = await mint([STORAGE_READ], { boundary, lifetime: seconds(600) })
    expect(issued(token)).toMatchObject({
      kind: 'downscoped',
      subject: target,
      scopes: [STORAGE_READ],
      boundary: { accessBoundaryRules: boundary },
    })
    expect(token.expiresAt - token.issuedAt).toBe(600)
  })

  test('without a scope nothing is asked', async () => {
    expect((await failureOf(mint([]))).code).toBe('scope_refused')
    expect(calls()).toEqual([])
  })

  test('P20: with account and source in memory, the store may be down', async () => {
    const grant = await world.grantFor('reports', [STORAGE_READ])
    await world.mint(grant)
    world.store.down = true
    expect((await world.mint(grant)).scopes).toEqual([STORAGE_READ])
  })
})

describe('a reply that gives more or nothing usable', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['a longer life', { expireTime: '2100-01-01T00:00:00Z' }, 'a token that lives'],
    ['a life that is over', { expireTime: '2001-01-01T00:00:00Z' }, 'past'],
    ['no expireTime', { expireTime: undefined }, 'no usable expireTime'],
    ['an expireTime in words', { expireTime: 'soon' }, 'no usable expireTime'],
    ['no token', { accessToken: undefined }, 'no usable accessToken'],
    ['a token that no header can carry', { accessToken: 'a\r\nb' }, 'no usable accessToken'],
  ])('P13: %s is refused', async (_, members, told) => {
    world.google.script.iamCredentials.next(1, { do: 'amend', members })
    const refused = await failureOf(mint([STORAGE_READ]))
    expect([refused.code, refused.reason]).toEqual(['upstream_nonsense', expect.stringContaining(told)])
  })

  test('P19: a clock of Google’s that is ahead lengthens nothing', async () => {
    const ahead = new Date((world.clock.now() + 3600 + 50) * 1000).toISOString()
    world.google.script.iamCredentials.next(1, { do: 'amend', members: { expireTime: ahead } })
    const token = await mint([STORAGE_READ])
    expect(token.expiresAt - token.issuedAt).toBe(3600)
  })
})

describe('an ID token of an impersonated account', () => {
  const idToken = (more: Partial<Grant> = {}) =>
    mint([], { tokenType: 'id_token', audience: 'https://service.example', ...more })

  test('P13: is for the granted audience, names the account, and has no scope', async () => {
    const token = await idToken()
    expect(decodeJwt(token.secret.reveal())).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: 'https://service.example',
      email: target,
      exp: token.expiresAt,
    })
    expect(token).toMatchObject({ tokenType: 'id_token', scopes: [] })
    expect(issued(token)?.actor).toBe(robot)
  })

  test('P13: for another audience or of another account is refused', async () => {
    const forOther = (await idToken({ audience: 'https://other.example' })).secret.reveal()
    world.google.script.iamCredentials.next(1, { do: 'amend', members: { token: forOther } })
    expect((await failureOf(idToken())).reason).toContain('another audience')

    await world.google.createServiceAccount({ email: middle })
    world.google.allowImpersonation(robot, middle)
    await world.enrol('middle', { type: 'impersonation', service_account: middle, source: 'robot' })
    const grant = { tokenType: 'id_token', audience: 'https://service.example' } as const
    const ofOther = (await mint([], grant, 'middle')).secret.reveal()
    world.google.script.iamCredentials.next(1, { do: 'amend', members: { token: ofOther } })
    expect((await failureOf(idToken())).reason).toContain('another account')
  })

  test('P13: without an audience, with a subject or a boundary nothing is asked', async () => {
    expect((await failureOf(mint([], { tokenType: 'id_token' }))).code).toBe('target_unavailable')
    expect((await failureOf(idToken({ subject: user }))).code).toBe('target_unavailable')
    expect((await failureOf(mint([], { tokenType: 'api_key' }))).code).toBe('target_unavailable')
    expect(calls()).toEqual([])
  })
})

describe('domain-wide delegation without a stored key', () => {
  test('P13: Google signs what the user’s token carries, and no more', async () => {
    const token = await mint([DRIVE], { subject: user })
    expect(issued(token)).toMatchObject({ kind: 'delegated', subject: user, actor: target, scopes: [DRIVE] })
    expect(calls()).toEqual(['jwt-bearer', 'signJwt', 'jwt-bearer'])
    const { payload } = world.google.calls.where({ grant: 'signJwt' })[0]?.params ?? {}
    const now = world.clock.now()
    expect(JSON.parse(String(payload))).toEqual({
      iss: target,
      sub: user,
      scope: DRIVE,
      aud: 'https://oauth2.googleapis.com/token',
      iat: now,
      exp: now + 3600,
    })
  })

  test('P13: an assertion of something else is not used', async () => {
    const token = await mint([DRIVE], { subject: user })
    expect(token.scopes).toEqual([DRIVE])
    const other = String(world.google.calls.where({ path: '/token' }).at(-1)?.params['assertion'])
    world.clock.skip(60_000)
    world.google.script.iamCredentials.next(1, { do: 'amend', members: { signedJwt: other } })
    expect((await failureOf(mint([DRIVE], { subject: user }))).reason).toContain('another assertion')
    world.google.script.iamCredentials.next(1, { do: 'amend', members: { signedJwt: 7 } })
    expect((await failureOf(mint([DRIVE], { subject: user }))).reason).toContain('no usable signedJwt')
  })

  test('what is not delegated says so, and blames no credential', async () => {
    const refused = await failureOf(mint([STORAGE_READ], { subject: user }))
    expect([refused.code, refused.reason]).toEqual([
      'target_unavailable',
      expect.stringContaining('Domain-wide delegation'),
    ])
    expect((await health()).status).not.toBe('broken')
  })
})

describe('a refusal says who has to be given what', () => {
  test('a missing role: which, for whom, on what', async () => {
    world.google.denyImpersonation(robot, target)
    const refused = await failureOf(mint([STORAGE_READ]))
    expect(refused.code).toBe('target_unavailable')
    expect(refused.reason).toContain(
      'roles/iam.serviceAccountTokenCreator (iam.serviceAccounts.getAccessToken) is missing for ' +
        `the source robot on ${target}`,
    )
    expect(await health()).toMatchObject({ status: 'broken', reason: refused.reason })
    expect((await health('robot')).status).toBe('healthy')
    world.google.allowImpersonation(robot, target)
    await mint([STORAGE_READ])
    expect((await health()).status).toBe('healthy')
  })

  test('an unknown scope', async () => {
    const refused = await failureOf(mint(['no.such.scope']))
    expect([refused.code, refused.reason]).toEqual(['scope_refused', expect.stringContaining('scope')])
    expect((await health()).status).not.toBe('broken')
  })

  test.each<[string, object, string, string]>([
    [
      'a service that is off',
      { code: 403, status: 'PERMISSION_DENIED', message: 'x', details: [{ reason: 'SERVICE_DISABLED' }] },
      'target_unavailable',
      'iamcredentials.googleapis.com is not enabled',
    ],
    [
      'a source without cloud-platform',
      {
        code: 403,
        status: 'PERMISSION_DENIED',
        message: 'x',
        details: [{ reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT' }],
      },
      'target_unavailable',
      'carries no cloud-platform',
    ],
    [
      'no account',
      { code: 404, status: 'NOT_FOUND', message: 'x' },
      'target_unavailable',
      `no service account ${target}`,
    ],
    ['an outage', { code: 503, status: 'UNAVAILABLE', message: 'x' }, 'upstream_unavailable', '503'],
    ['something else', { code: 418, status: 'TEAPOT', message: 'x' }, 'upstream_nonsense', 'TEAPOT'],
  ])('%s', async (_, error, code, told) => {
    const status = 'code' in error ? Number(error.code) : 500
    world.google.script.iamCredentials.always({ do: 'answer', status, body: { error } })
    const refused = await failureOf(mint([STORAGE_READ]))
    expect([refused.code, refused.reason]).toEqual([code, expect.stringContaining(told)])
  })
})

describe('a source token that is no longer accepted', () => {
  test('is replaced once, and the caller sees nothing of it', async () => {
    await world.enrol('ann', world.google.createRefreshToken({ scopes: [CLOUD_PLATFORM], user }), [
      CLOUD_PLATFORM,
    ])
    world.google.allowImpersonation(user, target)
    await world.enrol('by-ann', { type: 'impersonation', service_account: target, source: 'ann' })
    await mint([STORAGE_READ], {}, 'by-ann')
    world.google.script.iamCredentials.next(1, {
      do: 'google_error',
      status: 'UNAUTHENTICATED',
      message: 'Request had invalid authentication credentials.',
    })
    expect(issued(await mint([PUBSUB], {}, 'by-ann'))?.subject).toBe(target)
    expect(calls().filter((grant) => grant === 'refresh_token')).toHaveLength(2)
  })

  test('and whose successor is not either, says so', async () => {
    world.google.script.iamCredentials.always({
      do: 'google_error',
      status: 'UNAUTHENTICATED',
      message: 'Request had invalid authentication credentials.',
    })
    const refused = await failureOf(mint([STORAGE_READ]))
    expect([refused.code, refused.reason]).toEqual([
      'target_unavailable',
      expect.stringContaining('the token of the source robot is not accepted'),
    ])
    expect(calls().filter((grant) => grant === 'generateAccessToken')).toHaveLength(2)
  })

  test('P26: of a source that is disabled is not minted anew', async () => {
    const grant = await world.grantFor('reports', [STORAGE_READ])
    await world.administration.disable('robot')
    expect((await failureOf(world.mint(grant))).code).toBe('target_unavailable')
  })

  test('a credential on top of the broker’s own identity, where there is none, says what to set', async () => {
    await world.enrol('own', { type: 'impersonation', service_account: target })
    expect((await failureOf(mint([STORAGE_READ], {}, 'own'))).reason).toContain('DOWNSCOPE_GOOGLE_FEDERATION')
  })
})
