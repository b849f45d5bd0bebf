import { describe, expect, it } from 'vitest'
import { createBrokerWorld } from '../support/broker-world.ts'

const matching = (pattern: string): unknown => expect.stringMatching(pattern)

describe('policy:explain of a request', () => {
  it('that was refused says why, and of one that nothing is known of that there is none', async () => {
    const world = await createBrokerWorld()
    const explain = (requestId: string) =>
      world.call('POST /v1/admin/policy:explain', { as: 'ops', body: { request_id: requestId } })
    const refused = await world.ask(0, 'deputy')
    expect(refused.status).toBe(400)
    await world.clock.advance(100)

    const known = await explain(refused.headers.get('x-request-id') ?? '')
    expect(known.status).toBe(200)
    expect(await known.text()).toContain('"refused"')

    const unknown = await explain('00000000-0000-4000-8000-999999999999')
    expect(unknown.status).toBe(404)
    expect(await unknown.text()).toContain('under this request id')
  })

  it('takes the id of every refusal of a known caller: of the admin API, and of a revocation', async () => {
    const world = await createBrokerWorld()
    const explain = async (requestId: string) => {
      const answer = await world.call('POST /v1/admin/policy:explain', {
        as: 'ops',
        body: { request_id: requestId },
      })
      return answer.json()
    }
    const idOf = (answer: Response) => answer.headers.get('x-request-id') ?? ''
    const form = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }
    const assertion = await world.jwt('deputy')
    await world.enrol()
    const given: unknown = await (await world.ask()).json()
    const token =
      typeof given === 'object' && given !== null && 'access_token' in given ? given.access_token : ''
    const refusals = [
      ['credential.read', await world.call('GET /v1/admin/credentials/team', { as: 'billing' }), 'billing'],
      ['credential.read', await world.call('GET /v1/admin/credentials/none', { as: 'ops' }), 'ops'],
      [
        'token.revoke',
        await world.call('POST /v1/revoke', {
          body: new URLSearchParams({ ...form, client_assertion: assertion, token: String(token) }),
        }),
        'deputy',
      ],
    ] as const
    await world.clock.advance(100)

    for (const [action, answer, subject] of refusals) {
      expect(answer.status).toBeGreaterThanOrEqual(400)
      const text = await answer.text()
      expect(text).toContain(idOf(answer))
      expect(await explain(idOf(answer))).toMatchObject({
        outcome: 'refused',
        reason: matching(`^${action}: .`),
        caller: { subject },
        rules: [],
        refused_then: { error: matching('.') },
      })
    }
    // Nothing is kept of who is not known.
    const stranger = await world.call('GET /v1/admin/credentials')
    await world.clock.advance(100)
    expect(await explain(idOf(stranger))).toMatchObject({ status: 404 })
  })
})
