import { expect, test } from 'vitest'
import { administer, assertionForm, exchangeForm, post } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../support/test-broker/test-world.ts'

const mail = scopeOf('gmail.readonly')

test('a caller over its rate hears 429 with Retry-After, and neither another caller nor an administrator does', async () => {
  const world = await createTestWorld()
  try {
    const broker = await world.yard.start(
      world.settings([world.rule('sa', [mail])], { DOWNSCOPE_CALLER_RATE: '3', DOWNSCOPE_TOTAL_RATE: '6' }),
    )
    await world.enrolAccount(broker, 'sa')
    const parameters = { audience: 'sa', scope: mail }

    const answers = []
    for (let ask = 0; ask < 4; ask += 1)
      answers.push(await post(broker, await assertionForm(world.billing, parameters)))
    const other = await post(broker, await exchangeForm(world.workload, parameters))

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect(answers[3]).toMatchObject({ body: { error: 'temporarily_unavailable' } })
    // A third of a minute, less what the four took.
    expect(Number(answers[3]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(15)
    expect(Number(answers[3]?.headers.get('retry-after'))).toBeLessThanOrEqual(20)
    expect(other.status).toBe(200)
    const audit = await broker.auditOf(answers[3]?.requestId ?? '')
    expect(audit).toMatchObject({ outcome: 'refused', error: 'caller_throttled' })

    // The total: five have come, the sixth is looked at, the seventh is not.
    const forged = { ...(await assertionForm(world.billing, parameters)), client_assertion: 'no.jwt.at-all' }
    expect((await post(broker, forged)).status).toBe(401)
    expect((await post(broker, forged)).status).toBe(429)
    expect((await administer(broker, world.ops, { method: 'GET', path: 'credentials' })).status).toBe(200)
  } finally {
    await world.close()
  }
})
