import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { askToken, assertionForm, exchangeForm, post, type Answer } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'

const reading = scopeOf('devstorage.read_only')
const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')
const user = 'team@acme.example'
const audience = 'https://reports.acme.example'
const bounded = {
  availableResource: '//storage.googleapis.com/projects/_/buckets/acme-reports',
  availablePermissions: ['inRole:roles/storage.objectViewer'],
}
/** Each caller has a folder of its own. */
const ofCaller = {
  ...bounded,
  availabilityCondition: { expression: "resource.name.startsWith('objects/${claims.sub}/')" },
}

let world: TestWorld
let broker: BrokerProcess

beforeAll(async () => {
  world = await createTestWorld()
  const rules = [
    world.rule('sa', [reading, mail, drive]),
    world.rule('grant', [mail, drive]),
    world.rule('delegating', [mail], { subjects: ['*@acme.example'] }),
    world.rule('speaker', [], { token_types: ['id_token'], id_token_audiences: [audience] }),
    world.rule('fenced', [reading], { boundary: [bounded] }),
    world.rule('folders', ['devstorage.read_write'], { boundary: [ofCaller], excess_scopes: 'drop' }),
  ]
  const store = `sqlite:${join(world.folder, 'store.db')}`
  broker = await world.yard.start(world.settings(rules, { DOWNSCOPE_STORE: store }))
  await Promise.all([
    world.enrolAccount(broker, 'sa'),
    world.enrolGrant(broker, 'grant', { scopes: [mail, drive], rotating: true }),
    world.enrolAccount(broker, 'delegating', { delegatedScopes: { [user]: [mail, drive] } }),
    world.enrolAccount(broker, 'speaker'),
    world.enrolAccount(broker, 'fenced'),
    world.enrolAccount(broker, 'folders'),
  ])
  return () => world.close()
}, 180_000)

const forms = {
  client_credentials: async (parameters: Readonly<Record<string, string>>) =>
    assertionForm(world.billing, parameters),
  'token-exchange': async (parameters: Readonly<Record<string, string>>) =>
    exchangeForm(world.workload, parameters),
}

describe.concurrent('a token', { timeout: 180_000 }, () => {
  for (const [grantType, form] of Object.entries(forms))
    for (const credential of ['sa', 'grant']) {
      const title = `P13: by ${grantType} from ${credential}, a token asked for with one scope carries that scope only`
      test(title, async () => {
        const answer = await post(broker, await form({ audience: credential, scope: mail }))

        expectToken(answer, mail)
        const carried = world.google.token(answer.token)
        expect(carried?.scopes).toEqual([mail])
        expect(carried?.kind).toBe(credential === 'sa' ? 'service_account' : 'user')
      })
    }

  test('P13: without a scope it carries all that the rule allows, and says so', async () => {
    const answer = await askToken(broker, world.workload, { audience: 'grant', scope: '' })

    expectToken(answer, [drive, mail].join(' '))
    expect(world.google.token(answer.token)?.scopes.toSorted()).toEqual([drive, mail])
  })

  test('of domain-wide delegation acts for the user that was asked for', async () => {
    const parameters = { audience: 'delegating', scope: mail, requested_subject: user }
    const answer = await askToken(broker, world.workload, parameters)

    expectToken(answer, mail)
    expect(world.google.token(answer.token)).toMatchObject({
      kind: 'delegated',
      subject: user,
      scopes: [mail],
    })
  })

  test('P13: that is an ID token is labelled as one and is for the resource', async () => {
    const parameters = {
      audience: 'speaker',
      requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      resource: audience,
    }
    const answer = await askToken(broker, world.workload, parameters)

    expect(answer).toMatchObject({ status: 200 })
    expect(Object.keys(answer.body).toSorted()).toEqual([
      'access_token',
      'expires_in',
      'issued_token_type',
      'token_type',
    ])
    expect(answer.body).toMatchObject({
      issued_token_type: parameters.requested_token_type,
      token_type: 'N_A',
    })
    expect(decodeJwt(answer.token).aud).toBe(audience)
    expect(world.google.token(answer.token)).toMatchObject({ kind: 'id_token', audience })
  })

  test("has the rule's access boundary, unasked", async () => {
    const answer = await askToken(broker, world.workload, { audience: 'fenced', scope: reading })

    expectToken(answer, reading)
    const carried = world.google.token(answer.token)
    expect(carried).toMatchObject({ kind: 'downscoped', scopes: [reading] })
    expect(carried?.boundary).toEqual({ accessBoundaryRules: [bounded] })
  })

  test("P13: reaches what both the rule's boundary, with the caller's claims, and the caller's own reach", async () => {
    const own = {
      ...bounded,
      availablePermissions: ['inRole:roles/storage.objectAdmin'],
      availabilityCondition: { expression: "resource.name.endsWith('.csv')" },
    }
    const parameters = {
      audience: 'folders',
      scope: scopeOf('cloud-platform'),
      options: JSON.stringify({ accessBoundary: { accessBoundaryRules: [own] } }),
    }
    const answer = await post(broker, await assertionForm(world.billing, parameters))

    // Of cloud-platform there remains what the rule, in short, has of it.
    expectToken(answer, scopeOf('devstorage.read_write'))
    expect(world.google.token(answer.token)?.boundary).toEqual({
      accessBoundaryRules: [
        {
          ...bounded,
          availabilityCondition: {
            expression: "(resource.name.endsWith('.csv')) && (resource.name.startsWith('objects/billing/'))",
          },
        },
      ],
    })
  })

  test('P14: of another caller’s folder is another token', async () => {
    const parameters = { audience: 'folders', scope: '' }
    const [one, other] = await Promise.all([
      post(broker, await assertionForm(world.billing, parameters)),
      askToken(broker, world.workload, parameters),
    ])

    expect(one.token).not.toBe(other.token)
    expect(JSON.stringify(world.google.token(one.token)?.boundary)).toContain("'objects/billing/'")
    expect(JSON.stringify(world.google.token(other.token)?.boundary)).toContain('system:serviceaccount:')
  })

  test('P15: is minted once and then served from memory to other callers of the same grant', async () => {
    const parameters = { audience: 'sa', scope: drive }
    const first = await askToken(broker, world.workload, parameters)
    const second = await post(broker, await assertionForm(world.billing, parameters))

    expectToken(second, drive)
    expect(second.token).toBe(first.token)
    expect(await broker.auditOf(second.requestId)).toMatchObject({ source: 'memory' })
  })

  test('P27: has an audit record with rule, version, scopes, source and digest', async () => {
    const answer = await post(broker, await assertionForm(world.billing, { audience: 'grant', scope: drive }))

    expect(answer).toMatchObject({ status: 200 })
    const audit = await broker.auditOf(answer.requestId)
    expect(audit).toMatchObject({
      action: 'token.exchange',
      outcome: 'issued',
      issuer: 'billing',
      caller: 'billing',
      rule: 'may use grant',
      credential: 'grant',
      credential_version: matching(/./),
      scopes_asked: [drive],
      scopes_issued: [drive],
      token_sha256: createHash('sha256').update(answer.token).digest('hex'),
    })
  })

  test('P11: nothing in the query string counts', async () => {
    const form = await exchangeForm(world.workload, { audience: 'sa', scope: reading })
    const url = `${broker.url}/v1/token?audience=nothing&scope=${mail}&grant_type=password&audience=twice`
    const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })

    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ scope: reading })
  })

  test('an Authorization header of gcloud means nothing, nor does white space around the subject token', async () => {
    const form = await exchangeForm(world.workload, { audience: 'sa', scope: reading })
    const response = await fetch(`${broker.url}/v1/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('gcloud:public')}` },
      body: new URLSearchParams({ ...form, subject_token: ` ${form['subject_token']}\n` }),
    })

    expect(response.status).toBe(200)
  })
})

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

/** Member by member and header by header. */
function expectToken(answer: Answer, scope: string): void {
  expect(answer).toMatchObject({ status: 200 })
  const members = ['access_token', 'expires_in', 'issued_token_type', 'scope', 'token_type']
  expect(Object.keys(answer.body).toSorted()).toEqual(members)
  expect(answer.body).toMatchObject({
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    scope,
  })
  const carried = world.google.token(answer.token)
  const left = (carried?.expiresAt ?? 0) - Math.floor(Date.now() / 1000)
  expect(answer.body['expires_in']).toBeTypeOf('number')
  expect(Number(answer.body['expires_in'])).toBeGreaterThanOrEqual(300)
  expect(Number(answer.body['expires_in'])).toBeLessThanOrEqual(left + 1)
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.requestId).toMatch(/^[0-9a-f-]{36}$/)
}
