import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { seconds } from '../../src/domain/time.ts'
import { DRIVE, failureOf, startMintWorld, STORAGE_READ, type MintWorld } from '../support/mint-world.ts'

const boundary: AccessBoundary = [
  {
    availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
    availablePermissions: ['inRole:roles/storage.objectViewer'],
    availabilityCondition: { expression: "resource.name.startsWith('projects/_/buckets/reports/objects/a')" },
  },
]

let world: MintWorld

beforeEach(async () => {
  world = await startMintWorld()
  await world.enrol('reports-sa', await world.google.createServiceAccount())
  await world.enrol('user', world.google.createRefreshToken({ scopes: [STORAGE_READ, DRIVE] }), [
    STORAGE_READ,
    DRIVE,
  ])
})
afterEach(async () => {
  await world.background.settled()
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const mint = async (name = 'reports-sa') =>
  world.mint(await world.grantFor(name, [STORAGE_READ], { boundary }))

describe('a token with an access boundary', () => {
  test.each(['reports-sa', 'user'])(
    'P13: of %s has the boundary and the scopes, as Google recorded them',
    async (name) => {
      const token = await mint(name)
      const issued = world.google.token(token.secret.reveal())
      expect(issued).toMatchObject({ kind: 'downscoped', scopes: [STORAGE_READ] })
      expect(issued?.boundary).toEqual({ accessBoundaryRules: boundary })
      expect(issued?.sourceToken).not.toBe(token.secret.reveal())
      expect(token.scopes).toEqual([STORAGE_READ])
    },
  )

  test('P13: is made from a token without one, which is kept for the next boundary, and goes no further', async () => {
    const other = boundary.map((rule) => ({ ...rule, availableResource: `${rule.availableResource}-eu` }))
    const one = await mint()
    const two = await world.mint(await world.grantFor('reports-sa', [STORAGE_READ], { boundary: other }))
    const [first, second] = [one, two].map(({ secret }) => world.google.token(secret.reveal()))

    expect(first?.sourceToken).toBe(second?.sourceToken)
    expect(world.google.token(first?.sourceToken ?? '')).toMatchObject({ scopes: [STORAGE_READ] })
    expect(world.google.token(first?.sourceToken ?? '')?.boundary).toBeUndefined()
    expect(second?.boundary).toEqual({ accessBoundaryRules: other })
    expect(world.google.calls.all().map(({ grant }) => grant)).toEqual([
      'jwt-bearer',
      'token-exchange',
      'token-exchange',
    ])
  })

  test('is made from a new one, once, where Google takes the kept one no more', async () => {
    await mint()
    world.google.script.sts.next(1, { do: 'refuse', as: 'subject_token_bad' })
    const token = await mint()
    expect(world.google.token(token.secret.reveal())).toMatchObject({ kind: 'downscoped' })
    world.google.script.sts.next(2, { do: 'refuse', as: 'subject_token_bad' })
    expect((await failureOf(mint())).code).toBe('upstream_nonsense')
    expect(world.google.calls.all().map(({ grant }) => grant)).toEqual([
      'jwt-bearer',
      'token-exchange',
      'token-exchange',
      'jwt-bearer',
      'token-exchange',
      'token-exchange',
      'jwt-bearer',
      'token-exchange',
    ])
  })

  test('P13: is not made from a token that lives longer than the rule allows, nor is that kept', async () => {
    const grant = await world.grantFor('reports-sa', [STORAGE_READ], { boundary, lifetime: seconds(600) })
    for (const wanted of [grant, grant, { ...grant, boundary: [] }])
      expect((await failureOf(world.mint(wanted))).reason).toContain('600 s are allowed')
    expect(world.google.calls.all().map(({ grant: asked }) => asked)).toEqual(Array(3).fill('jwt-bearer'))
  })

  test('P19: without expires_in, and with a later one, ends with its source', async () => {
    const user = await mint('user')
    expect(user.expiresAt - user.issuedAt).toBe(3599)
    world.google.script.sts.next(1, { do: 'amend', members: { expires_in: 7200 } })
    const later = await mint()
    expect(later.expiresAt - later.issuedAt).toBe(3599)
    world.google.script.sts.next(1, { do: 'amend', members: { expires_in: 600 } })
    const sooner = await mint()
    expect(sooner.expiresAt - sooner.issuedAt).toBe(600)
  })

  test('P13: is not the source token, and nothing labelled otherwise', async () => {
    const source = () => String(world.google.calls.all().at(-1)?.params['subject_token'])
    world.google.script.sts.next(1, ({ params }) => ({
      do: 'amend',
      members: { access_token: params['subject_token'] },
    }))
    expect((await failureOf(mint())).reason).toContain('source token itself')
    expect(source()).toContain('ya29')
    world.google.script.sts.next(1, { do: 'amend', members: { issued_token_type: undefined } })
    expect((await failureOf(mint())).code).toBe('upstream_nonsense')
    world.google.script.sts.next(1, { do: 'amend', members: { scope: `${STORAGE_READ} ${DRIVE}` } })
    expect((await failureOf(mint())).reason).toContain('more scopes')
  })

  test('that Google does not accept says so, and blames no credential', async () => {
    const wrong = boundary.map((rule) => ({ ...rule, availablePermissions: ['roles/storage.objectViewer'] }))
    const grant = await world.grantFor('reports-sa', [STORAGE_READ], { boundary: wrong })
    const refused = await failureOf(world.mint(grant))
    expect([refused.code, refused.reason.includes('boundary')]).toEqual(['target_unavailable', true])
    world.google.script.sts.next(2, { do: 'refuse', as: 'subject_token_bad' })
    expect((await failureOf(mint())).code).toBe('upstream_nonsense')
    world.google.script.sts.next(1, {
      do: 'google_error',
      status: 'PERMISSION_DENIED',
      message: 'STS is disabled',
    })
    expect((await failureOf(mint())).reason).toContain('STS is disabled')
    await world.background.settled()
    expect((await world.administration.read('reports-sa')).health.status).toBe('healthy')
  })
})
