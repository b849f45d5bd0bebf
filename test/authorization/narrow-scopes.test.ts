import { expect, test } from 'vitest'
import { ask, refusal, type Situation } from '../support/authorize-situation.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

test('P13: where the upstream cannot narrow a refresh, only all that was consented is granted', async () => {
  const crm = { name: 'crm', token_endpoint: 'https://crm.example/token', client_auth: 'none' }
  const upstreams = [{ ...crm, scope_in_refresh: 'omit' }]
  const credential = credentialWith({
    kind: 'refresh_token',
    upstream: 'crm',
    consentedScopes: ['read', 'write'],
  })
  expect(await ask({ rules: [twoScopes], credential, upstreams })).toMatchObject({
    scopes: ['read', 'write'],
  })
  for (const situation of [{ rules: [ruleWith()] }, { rules: [twoScopes], request: { scopes: ['read'] } }]) {
    const { code, reason } = await refusal({ ...situation, credential, upstreams })
    expect([code, reason.includes('upstream crm cannot narrow a refresh')]).toEqual(['scope_refused', true])
  }
  expect(await ask({ credential, upstreams: [crm] })).toMatchObject({ scopes: ['read'] })
})

const twoScopes = ruleWith({ scopes: ['write', 'read'] })
const dropping = ruleWith({ scopes: ['write', 'read'], excess_scopes: 'drop' })
const consentedToRead = credentialWith({ kind: 'refresh_token', consentedScopes: ['openid', 'read'] })
const consentedToNothing = credentialWith({ kind: 'refresh_token', consentedScopes: [] })

test.each<[string, Situation, readonly string[]]>([
  ['no scope asked for is all that the rule allows', { rules: [twoScopes] }, ['read', 'write']],
  ['one asked for is one given', { rules: [twoScopes], request: { scopes: ['write'] } }, ['write']],
  ['dropped beyond the rule', { rules: [dropping], request: { scopes: ['admin', 'read'] } }, ['read']],
  [
    'no scope asked for is what the rule allows and was consented',
    { rules: [twoScopes], credential: consentedToRead },
    ['read'],
  ],
  [
    'dropped where not consented',
    { rules: [dropping], credential: consentedToRead, request: { scopes: ['read', 'write'] } },
    ['read'],
  ],
])('P13: %s', async (_, situation, scopes) => {
  expect((await ask(situation)).scopes).toEqual(scopes)
})

test.each<[string, Situation, string]>([
  [
    'a scope beyond the rule',
    { rules: [twoScopes], request: { scopes: ['admin', 'read'] } },
    'beyond rule "everybody reads": admin',
  ],
  [
    'nothing left after dropping',
    { rules: [dropping], request: { scopes: ['admin'] } },
    'allows none of: admin',
  ],
  [
    'a scope not consented',
    { rules: [twoScopes], credential: consentedToRead, request: { scopes: ['read', 'write'] } },
    'not consented for "reports": write; consented: openid read',
  ],
  [
    'nothing consented',
    { rules: [dropping], credential: consentedToNothing },
    'not consented for "reports": read write; consented: ',
  ],
  [
    'nothing left of what was consented',
    { rules: [dropping], credential: consentedToRead, request: { scopes: ['admin'] } },
    'allows none of: admin',
  ],
  ['another case', { rules: [twoScopes], request: { scopes: ['READ'] } }, 'beyond rule'],
])('P13: refused: %s', async (_, situation, reason) => {
  const error = await refusal(situation)

  expect(error).toMatchObject({ code: 'scope_refused', publicDetail: undefined })
  expect(error.reason).toContain(reason)
})

const auth = 'https://www.googleapis.com/auth/'
const google = (...names: readonly string[]) => names.map((name) => `${auth}${name}`)
const dropBeyond = (...scopes: readonly string[]) => ruleWith({ scopes, excess_scopes: 'drop' })

test.each<[string, Situation, readonly string[]]>([
  [
    'a scope that the rule’s implies, as it was asked for',
    { rules: [ruleWith({ scopes: ['compute'] })], request: { scopes: google('compute.readonly') } },
    google('compute.readonly'),
  ],
  [
    'the rule’s scopes by their full names',
    { rules: [ruleWith({ scopes: ['compute.readonly', 'openid', 'email'] })] },
    ['email', ...google('compute.readonly'), 'openid'],
  ],
  [
    'of cloud-platform what the rule has of it, where it drops',
    { rules: [dropBeyond('compute', 'drive.readonly')], request: { scopes: google('cloud-platform') } },
    google('compute'),
  ],
  [
    'of a broad scope the broadest that both imply',
    { rules: [dropBeyond('drive.readonly')], request: { scopes: google('documents', 'drive') } },
    google('drive.readonly'),
  ],
  [
    'what both a broad scope and the rule imply, though neither names it',
    { rules: [dropBeyond('drive.readonly')], request: { scopes: google('documents') } },
    google('documents.readonly'),
  ],
  [
    'of a consent only what was consented word for word',
    {
      rules: [dropBeyond('compute')],
      credential: credentialWith({ kind: 'refresh_token', consentedScopes: google('compute.readonly') }),
      request: { scopes: google('cloud-platform') },
    },
    google('compute.readonly'),
  ],
  [
    'either name of one scope',
    { rules: [ruleWith({ scopes: ['email'] })], request: { scopes: google('userinfo.email') } },
    google('userinfo.email'),
  ],
  [
    'words of another upstream as words',
    { rules: [ruleWith({ scopes: ['drive'] })], credential: credentialWith({ upstream: 'acme' }) },
    ['drive'],
  ],
])('P13: given: %s', async (_, situation, scopes) => {
  expect((await ask(situation)).scopes).toEqual(scopes)
})

test.each<[string, Situation]>([
  [
    'a broader scope than the rule’s',
    { rules: [ruleWith({ scopes: ['compute.readonly'] })], request: { scopes: google('compute') } },
  ],
  [
    'a broad scope that implies nothing of the rule',
    { rules: [dropBeyond('drive')], request: { scopes: google('cloud-platform') } },
  ],
  [
    'a narrower scope than was consented',
    {
      rules: [ruleWith({ scopes: ['drive'] })],
      credential: credentialWith({ kind: 'refresh_token', consentedScopes: google('drive') }),
      request: { scopes: google('drive.readonly') },
    },
  ],
  [
    'a scope that only Google’s implies, of another upstream',
    {
      rules: [ruleWith({ scopes: google('drive') })],
      credential: credentialWith({ upstream: 'acme' }),
      request: { scopes: google('drive.readonly') },
    },
  ],
  [
    'a short name of Google in a request, of another upstream',
    {
      rules: [ruleWith({ scopes: google('drive') })],
      credential: credentialWith({ upstream: 'acme' }),
      request: { scopes: ['drive'] },
    },
  ],
])('P13: not given: %s', async (_, situation) => {
  expect(await refusal(situation)).toMatchObject({ code: 'scope_refused', publicDetail: undefined })
})

test('a short name in a request stands for its URL, as in a rule, and the token carries that', async () => {
  const rules = [ruleWith({ scopes: ['drive'] })]

  expect((await ask({ rules, request: { scopes: ['drive.readonly'] } })).scopes).toEqual(
    google('drive.readonly'),
  )
  expect((await ask({ rules, request: { scopes: ['drive', ...google('drive')] } })).scopes).toEqual(
    google('drive'),
  )
})

test('a word that is no scope of Google is refused, and the operator reads what may be meant', async () => {
  const { reason } = await refusal({
    rules: [ruleWith({ scopes: ['drive'] })],
    request: { scopes: ['drive.readonyl'] },
  })

  expect(reason).toContain('did you mean "drive.readonly"?')
})

const storage = (name: string) => `https://www.googleapis.com/auth/devstorage.${name}`
const writing = { scopes: ['devstorage.read_write'] }

test('a rule with devstorage.read_write gives read_only by name, and never besides', async () => {
  const asking = { request: { scopes: [storage('read_only')] } }
  const cloudPlatform = { request: { scopes: ['https://www.googleapis.com/auth/cloud-platform'] } }

  expect((await ask({ rules: [ruleWith(writing)], ...asking })).scopes).toEqual([storage('read_only')])
  const dropped = await ask({ rules: [ruleWith({ ...writing, excess_scopes: 'drop' })], ...cloudPlatform })
  expect(dropped.scopes).toEqual([storage('read_write')])
})

test('with implied_scopes: false a rule gives what it names, and nothing that this implies', async () => {
  const literal = ruleWith({ scopes: ['compute', 'devstorage.read_write'], implied_scopes: false })
  const compute = 'https://www.googleapis.com/auth/compute'
  for (const scope of [storage('read_only'), `${compute}.readonly`]) {
    const { code } = await refusal({ rules: [literal], request: { scopes: [scope] } })
    expect(code).toBe('scope_refused')
  }
  // Positive control.
  expect((await ask({ rules: [literal], request: { scopes: [compute] } })).scopes).toEqual([compute])
})

test('a refresh token is narrowed to what was consented to by name, whatever a scope implies', async () => {
  const consented = (...scopes: readonly string[]) =>
    credentialWith({ kind: 'refresh_token', consentedScopes: scopes })
  const asking = { rules: [ruleWith(writing)], request: { scopes: [storage('read_only')] } }

  const { reason } = await refusal({ ...asking, credential: consented(storage('read_write')) })
  expect(reason).toContain('not consented')
  const both = consented(storage('read_only'), storage('read_write'))
  expect((await ask({ ...asking, credential: both })).scopes).toEqual([storage('read_only')])
})
