import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import {
  createBrokerWorld,
  jsonAnswer,
  type BrokerWorld,
  type WorldRequest,
} from '../support/broker-world.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createRsaKeyPem } from '../support/rsa-key.ts'

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
})

const as = 'ops' as const
const act = async (line: string, request: WorldRequest = {}) => {
  const answer = await world.call(line, { as, ...request })
  const text = await answer.text()
  const etag = answer.headers.get('etag') ?? ''
  return { status: answer.status, etag, body: text === '' ? {} : z.looseObject({}).parse(JSON.parse(text)) }
}

describe('a change of what somebody has seen', () => {
  const one = '/v1/admin/credentials/team'
  beforeEach(() => world.enrol())

  it('is made at the revision that If-Match names, and its answer has the next one', async () => {
    const seen = await act(`GET ${one}`)
    expect(seen.etag).toBe('"1"')
    const disabled = await act(`POST ${one}:disable`, { headers: { 'if-match': seen.etag } })
    expect([disabled.status, disabled.etag]).toEqual([200, '"2"'])
  })

  it('is refused when somebody else was faster, and changes nothing', async () => {
    const { etag } = await act(`GET ${one}`)
    await act(`POST ${one}:disable`)
    const headers = { 'if-match': etag }
    for (const line of [`POST ${one}:enable`, `POST ${one}:revoke`, `POST ${one}:destroy`, `DELETE ${one}`])
      expect(await act(line, { headers })).toMatchObject({ status: 412, body: { code: 'changed_meanwhile' } })
    expect((await act(`GET ${one}`)).body).toMatchObject({ state: 'disabled' })
  })

  it('needs no If-Match: a command may be repeated by whoever lost its answer', async () => {
    const first = await act(`POST ${one}:disable`)
    expect(await act(`POST ${one}:disable`)).toEqual(first)
  })
})

describe('a change of a rotation or a version that somebody has seen', () => {
  const one = '/v1/admin/credentials/reports-sa'
  let secret: object
  beforeAll(async () => {
    secret = {
      type: 'service_account',
      client_email: 'reports@acme.iam.gserviceaccount.com',
      private_key_id: 'k1',
      private_key: (await createRsaKeyPem()).pkcs8,
    }
  })
  beforeEach(async () => {
    // No key is accepted, so that each rotation stands still after its first try.
    world.route('https://oauth2.googleapis.com/token', () => jsonAnswer({ error: 'invalid_grant' }, 400))
    await act('POST /v1/admin/credentials', { body: { name: 'reports-sa', secret } })
  })

  const read = async () => {
    const { etag, body } = await act(`GET ${one}`)
    return { etag, ...shownShape.parse(body) }
  }
  const standingStill = () =>
    vi.waitFor(
      async () => {
        const shown = await read()
        expect(shown.rotation?.failures).toBeGreaterThan(0)
        return shown
      },
      { timeout: 10_000, interval: 10 },
    )
  /** Acts at the revision that is shown, and expects the next one. */
  const actAt = async (etag: string, line: string, body?: object) => {
    const answer = await act(line, { headers: { 'if-match': etag }, ...(body === undefined ? {} : { body }) })
    expect(answer).toMatchObject({ etag: `"${Number(etag.replaceAll('"', '')) + 1}"` })
    return answer.status
  }

  it('is made at the revision that If-Match names, and its answer has the next one', async () => {
    expect(await actAt('"1"', `PATCH ${one}`, { rotate_after_days: 30 })).toBe(200)
    expect(await actAt('"2"', `POST ${one}:rotate`)).toBe(200)
    expect(await actAt((await standingStill()).etag, `POST ${one}:abort`)).toBe(200)
  })

  it('may bring a version, disable it and destroy it', async () => {
    expect(await actAt('"1"', `POST ${one}/versions`, { secret })).toBe(201)
    const { etag, rotation } = await standingStill()
    const candidate = `${one}/versions/${rotation?.candidate}`
    expect(await actAt(etag, `POST ${candidate}:disable`)).toBe(200)
    expect(await actAt((await read()).etag, `POST ${candidate}:destroy`)).toBe(200)
    expect((await read()).versions.map(({ state }) => state)).toEqual(['active', 'destroyed'])
  })

  it('is refused when somebody else was faster, and changes nothing', async () => {
    await act(`POST ${one}/versions`, { body: { secret } })
    const before = await standingStill()
    const candidate = `${one}/versions/${before.rotation?.candidate}`
    const lines: readonly (readonly [string, object?])[] = [
      [`PATCH ${one}`, { rotate_after_days: 30 }],
      [`POST ${one}:rotate`],
      [`POST ${one}:abort`],
      [`POST ${one}/versions`, { secret }],
      [`POST ${candidate}:disable`],
      [`POST ${candidate}:destroy`],
      [`POST ${one}:disable`],
      [`POST ${one}:enable`],
      [`POST ${one}:revoke`],
      [`POST ${one}:destroy`],
      [`DELETE ${one}`],
    ]
    for (const [line, body] of lines) {
      const request = { headers: { 'if-match': '"1"' }, ...(body === undefined ? {} : { body }) }
      expect([line, await act(line, request)]).toMatchObject([
        line,
        { status: 412, body: { code: 'changed_meanwhile' } },
      ])
    }
    expect(await read()).toEqual(before)
  })
})

describe('an enrolment whose answer was lost', () => {
  it('is asked again and answered as before', async () => {
    const first = await world.enrol()
    const again = await world.enrol()
    expect([again.status, await again.json()]).toEqual([201, await first.json()])
  })

  it('is a conflict when it is not the same, or the credential is not in use', async () => {
    await world.enrol()
    const other = { name: 'team', ...world.newSecret('1//another') }
    const path = 'POST /v1/admin/credentials'
    expect((await act(path, { body: other })).body).toMatchObject({ code: 'already_exists' })
    await act(`${path}/team:disable`)
    expect((await world.enrol()).status).toBe(409)
  })
})

describe('a policy that this version of the broker does not understand', () => {
  it('is named beside the one in force, and is replaced by whoever names it', async () => {
    const { body } = await act('GET /v1/admin/policy')
    const newer = createPolicies({ store: world.store, clock: world.clock, newId: () => 'newer' })
    await newer.apply({ text: 'version: 2\n', expected: 'first', by: 'a newer broker' })
    await world.clock.advance(10_000)
    const seen = await act('GET /v1/admin/policy')
    expect(seen).toMatchObject({
      etag: '"first"',
      body: { revision: 'first', status: 'stale', latest_revision: 'newer', document: body['document'] },
    })
    const apply = (etag: string) =>
      act('PUT /v1/admin/policy', {
        body: body['document'],
        headers: { 'if-match': etag, 'content-type': 'application/yaml' },
      })
    expect((await apply(seen.etag)).status).toBe(412)
    expect((await apply('"newer"')).status).toBe(200)
    await world.clock.advance(10_000)
    expect((await act('GET /v1/admin/policy')).body).toMatchObject({ status: 'current' })
  })
})

describe('a policy that would lock out whoever applies it', () => {
  const apply = (document: string, query = '') =>
    act(`PUT /v1/admin/policy${query}`, {
      body: document,
      headers: { 'if-match': '"first"', 'content-type': 'application/yaml' },
    })
  const changed = async (change: (policy: Policy) => void) => {
    const { body } = await act('GET /v1/admin/policy')
    const policy = policyShape.parse(JSON.parse(String(body['document'])))
    change(policy)
    return JSON.stringify(policy)
  }

  it.each<[string, (policy: Policy) => void, string]>([
    [
      'without their role',
      (policy) => (policy.admins = []),
      'it makes you, "ops" of "ops", an admin no more',
    ],
    [
      'with a lesser one',
      ({ admins }) => admins.forEach((admin) => (admin['role'] = 'operator')),
      'it makes you, "ops" of "ops", an admin no more',
    ],
    [
      'with other keys of their issuer',
      ({ issuers }) => {
        const [first, , ops] = issuers
        if (first !== undefined && ops !== undefined) ops['keys'] = first['keys']
      },
      'it takes none of the keys of your issuer "ops" that are taken now',
    ],
    [
      'with an algorithm that their key is not for',
      (policy) => {
        const { keys } = policyKeys.parse(opsOf(policy)).keys.jwks
        Object.assign(opsOf(policy), { keys: { jwks: { keys: [...keys, otherKey] } }, algorithms: ['EdDSA'] })
      },
      'it takes none of the keys of your issuer "ops" that are taken now',
    ],
    [
      'with an audience that their JWT is not for',
      (policy) => Object.assign(opsOf(policy), { audiences: ['https://typo.example'] }),
      'it refuses the JWT that you sent: "aud" is not this broker alone',
    ],
    [
      'with a lifetime that their JWT exceeds',
      (policy) => Object.assign(opsOf(policy), { lifetime_seconds_max: 60 }),
      'it refuses the JWT that you sent: lives 120 s, at most 60 s allowed',
    ],
  ])('%s is refused and says why', async (_, change, why) => {
    const { status, body } = await apply(await changed(change))
    expect(status).toBe(409)
    expect(body).toMatchObject({
      code: 'would_lock_out',
      detail: `this policy would lock you out: ${why}; apply it with force=true if that is meant`,
    })
    expect((await act('GET /v1/admin/policy')).body).toMatchObject({ revision: 'first' })
    expect(world.audits.at(-2)).toMatchObject({ action: 'policy.apply', outcome: 'refused', reason: why })
  })

  it('is one that takes none of the keys: another key beside the one in use locks nobody out', async () => {
    const document = await changed((policy) => {
      const { keys } = policyKeys.parse(opsOf(policy)).keys.jwks
      Object.assign(opsOf(policy), { keys: { jwks: { keys: [otherKey, ...keys] } } })
    })
    expect((await apply(document)).status).toBe(200)
  })

  it('is applied when it says so', async () => {
    const document = await changed((policy) => (policy.admins = []))
    expect((await apply(document, '?force=true')).status).toBe(200)
    expect((await apply(document, '?force=yes')).status).toBe(400)
    await world.clock.advance(10_000)
    expect((await act('GET /v1/admin/policy')).status).toBe(403)
  })

  it('is not one that takes the role from others', async () => {
    const document = await changed(({ admins }) => {
      admins[0] = { callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }
    })
    expect((await apply(document)).status).toBe(200)
  })
})

const shownShape = z.looseObject({
  versions: z.array(z.looseObject({ state: z.string() })),
  rotation: z.optional(z.looseObject({ failures: z.int(), candidate: z.optional(z.string()) })),
})

const policyShape = z.looseObject({
  issuers: z.array(z.looseObject({})),
  admins: z.array(z.looseObject({})),
})
type Policy = z.infer<typeof policyShape>

function opsOf({ issuers }: Policy): object {
  return issuers.find(({ name }) => name === 'ops') ?? {}
}

const policyKeys = z.object({ keys: z.object({ jwks: z.object({ keys: z.array(z.looseObject({})) }) }) })
/** RFC 8037, appendix A.2. */
const otherKey = {
  kty: 'OKP',
  crv: 'Ed25519',
  kid: 'another',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
