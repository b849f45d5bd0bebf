import { beforeAll, describe, expect, test } from 'vitest'
import type { Signer } from '../support/signer.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import {
  administer,
  askToken,
  assertionForm,
  exchangeForm,
  post,
  send,
  type Answer,
  type Form,
} from '../support/test-broker/ask.ts'
import { callerOf } from '../support/test-broker/callers.ts'
import { until } from '../support/test-broker/until.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')

let world: TestWorld
let broker: BrokerProcess

beforeAll(async () => {
  world = await createTestWorld()
  const nobody = { issuer: 'billing', subject: 'nobody' }
  const rules = [
    world.rule('sa', [mail]),
    world.rule('disabled', [mail]),
    world.rule('absent', [mail]),
    world.rule('forbidden', [mail], { callers: [nobody] }),
  ]
  broker = await world.yard.start(world.settings(rules))
  for (const name of ['sa', 'disabled', 'forbidden']) await world.enrolAccount(broker, name)
  await administer(broker, world.ops, { method: 'POST', path: 'credentials/disabled:disable' })
  return () => world.close()
}, 180_000)

interface Row {
  readonly failure: string
  readonly form: () => Promise<Form | string>
  readonly status: number
  readonly error: string
  /** In the audit record's reason, which is the true one. */
  readonly reason: RegExp
}

const good = { audience: 'sa', scope: mail }
const stranger = async (): Promise<string> => {
  const { signer } = world.ops
  return callerOf(signer, 'billing').jwt()
}

/** docs/errors.md, row by row; the failures of upstream, store and key ring are in faults-*.node.test.ts. */
const rows: readonly Row[] = [
  {
    failure: 'a malformed request',
    form: async () => ({ ...(await exchangeForm(world.workload, good)), requested_lifetime: 'long' }),
    status: 400,
    error: 'invalid_request',
    reason: /requested_lifetime/,
  },
  {
    failure: 'a repeated parameter',
    form: async () =>
      `${new URLSearchParams(await exchangeForm(world.workload, good)).toString()}&scope=${mail}`,
    status: 400,
    error: 'invalid_request',
    reason: /repeated/,
  },
  {
    failure: 'two proofs',
    form: async () => ({
      ...(await assertionForm(world.billing, good)),
      ...(await exchangeForm(world.workload, good)),
    }),
    status: 400,
    error: 'invalid_request',
    reason: /two proofs/,
  },
  {
    failure: 'an unknown grant type',
    form: async () => ({ ...(await exchangeForm(world.workload, good)), grant_type: 'password' }),
    status: 400,
    error: 'unsupported_grant_type',
    reason: /grant_type/,
  },
  {
    failure: "P1: a client assertion under another's key",
    form: async () => ({ ...(await assertionForm(world.billing, good)), client_assertion: await stranger() }),
    status: 401,
    error: 'invalid_client',
    reason: /kid|key|signature/,
  },
  {
    failure: 'P6: a client assertion that was used before',
    form: async () => {
      const form = await assertionForm(world.billing, good)
      const first = await post(broker, form)
      if (first.status !== 200) throw new Error(`the first use is refused: ${first.text}`)
      return form
    },
    status: 401,
    error: 'invalid_client',
    reason: /used before/,
  },
  {
    failure: "P1: a subject token under another's key",
    form: async () => ({ ...(await exchangeForm(world.billing, good)), subject_token: await stranger() }),
    status: 400,
    error: 'invalid_request',
    reason: /kid|key|signature/,
  },
  {
    failure: 'a scope beyond the rule',
    form: () => exchangeForm(world.workload, { ...good, scope: `${mail} ${drive}` }),
    status: 400,
    error: 'invalid_scope',
    reason: /beyond rule/,
  },
  {
    failure: 'a credential that is not there',
    form: () => exchangeForm(world.workload, { ...good, audience: 'absent' }),
    status: 400,
    error: 'invalid_target',
    reason: /no credential "absent" is enrolled/,
  },
]

describe.concurrent('a refusal', { timeout: 180_000 }, () => {
  for (const { failure, form, status, error, reason } of rows)
    test(`of ${failure} is ${status} ${error}, and P27: its one record tells why`, async () => {
      const body = await form()
      const answer =
        typeof body === 'string'
          ? await sendText(body, 'application/x-www-form-urlencoded')
          : await post(broker, body)

      expect(answer).toMatchObject({ status })
      expect(answer.body['error']).toBe(error)
      expectRefusalShape(answer)
      const audit = await broker.auditOf(answer.requestId)
      expect(audit).toMatchObject({ outcome: 'refused', reason: matching(reason) })
    })

  test.each([
    ['a scope beyond the rule', { ...good, scope: `${mail} ${drive}` }, 'scopes', 'decides'],
    ['a lifetime beyond the rule', { ...good, requested_lifetime: '1' }, 'requested_lifetime', 'decides'],
    ['a disabled credential', { ...good, audience: 'disabled' }, 'credential.state', 'decides'],
    ['one that is not enrolled', { ...good, audience: 'absent' }, 'credential', 'decides'],
    ["one of another's rule", { ...good, audience: 'forbidden' }, 'rules', 'does_not_match'],
    ['one of no rule', { ...good, audience: 'never-heard-of' }, 'rules', undefined],
  ])(
    'for %s is explained by its request id, with rule and condition',
    async (_, parameters, condition, outcome) => {
      const { requestId } = await askToken(broker, world.workload, parameters)
      const explain = () =>
        administer(broker, world.ops, {
          method: 'POST',
          path: 'policy:explain',
          body: { request_id: requestId },
        })
      // It is written down after the answer has left.
      const { body } = await until('the refusal is kept', async () => {
        const answer = await explain()
        return answer.status === 200 ? answer : undefined
      })

      expect(body).toMatchObject({
        outcome: 'refused',
        condition,
        refused_then: { condition, reason: body['reason'] },
        rules: outcome === undefined ? [] : [{ rule: matching(/./), outcome }],
      })
    },
  )

  test('that was never kept cannot be explained, and says so', async () => {
    const answer = await administer(broker, world.ops, {
      method: 'POST',
      path: 'policy:explain',
      body: { request_id: 'e7375fd5-1464-41d8-a9ff-3614b85af4e2' },
    })
    expect(answer).toMatchObject({ status: 404 })
    expect(answer.body['detail']).toMatch(/request id/)
  })

  test('positive control: the request that the refused ones were made from gets a token', async () => {
    const answers = await Promise.all([
      askToken(broker, world.workload, good),
      post(broker, await assertionForm(world.billing, good)),
    ])

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
  })

  test('P12: unknown, unenrolled, forbidden and disabled credentials answer with the same bytes', async () => {
    const names = [
      'never-heard-of',
      'absent',
      'forbidden',
      'disabled',
      '//tokens.acme.example/credentials/absent',
    ]
    const answers = await Promise.all(
      names.map((audience) => askToken(broker, world.workload, { audience, scope: mail })),
    )

    expect(new Set(answers.map(bytesOf)).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 400, body: { error: 'invalid_target' } })
    const reasons = await Promise.all(answers.map(async ({ requestId }) => broker.auditOf(requestId)))
    expect(new Set(reasons.map(({ reason }) => reason)).size).toBeGreaterThanOrEqual(4)
  })

  test('P6: of 20 concurrent uses of one assertion exactly one gets a token', async () => {
    const form = await assertionForm(world.billing, good)
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(broker, form)))

    const statuses = answers.map(({ status }) => status).toSorted()
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 401)])
  })

  test('P9, P22: unknown kids cause three more fetches of the JWK set at most', async () => {
    await askToken(broker, world.workload, good)
    const before = world.site.fetches()
    const forged = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const { signer, issuer, subject } = world.workload
        const sign: Signer['sign'] = (claims) => signer.sign(claims, { kid: `x-${index}` })
        const other = callerOf({ ...signer, sign }, issuer, subject)
        return askToken(broker, other, good)
      }),
    )

    // 503 where the broker may not look again yet.
    for (const { status } of forged) expect([400, 503]).toContain(status)
    expect(world.site.fetches() - before).toBeLessThanOrEqual(3)
  })
})

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

function expectRefusalShape({ headers, body, requestId }: Answer): void {
  expect(Object.keys(body).toSorted()).toEqual(['error', 'error_description'])
  // RFC 6749 §5.2.
  expect(body['error_description']).toMatch(/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/)
  expect(headers.get('content-type')).toBe('application/json')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
}

/** Everything of an answer but the request id and the date. */
function bytesOf({ status, headers, text }: Answer): string {
  const shown = [...headers].filter(([name]) => name !== 'x-request-id' && name !== 'date')
  const id = headers.get('x-request-id') ?? ''
  return JSON.stringify([status, shown, text.replace(`; request id ${id}`, '')])
}

async function sendText(body: string, contentType: string): Promise<Answer> {
  return send(`${broker.url}/v1/token`, { method: 'POST', headers: { 'content-type': contentType }, body })
}
