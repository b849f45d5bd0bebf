import { describe, expect, it } from 'vitest'
import { createBrokerWorld } from '../support/broker-world.ts'

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
})
