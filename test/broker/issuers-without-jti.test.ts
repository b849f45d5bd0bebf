import { expect, it } from 'vitest'
import * as z from 'zod'
import { createBrokerWorld } from '../support/broker-world.ts'

const policyShown = z.object({ document: z.string() })

it('an issuer whose JWTs count once is warned of once one of them had no jti, until one has', async () => {
  const world = await createBrokerWorld()
  await world.enrol()
  const shown = await world.call('GET /v1/admin/policy', { as: 'ops' })
  const { document } = policyShown.parse(await shown.json())
  const warnings = async () => {
    const headers = { 'content-type': 'application/yaml' }
    const answer = await world.call('POST /v1/admin/policy:validate', { as: 'ops', body: document, headers })
    return (await answer.text()).split('signs without a jti').length - 1
  }
  const exchange = async (jwt: string) => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
      audience: 'team',
    })
    return (await world.call('POST /v1/token', { body })).status
  }
  const before = await warnings()
  // A forged one says nothing of the issuer.
  const forged = await exchange(
    (await world.jwt('billing', { jti: undefined })).replace(/.{20}$/, 'A'.repeat(20)),
  )
  const afterForged = await warnings()
  const without = await exchange(await world.jwt('billing', { jti: undefined }))
  const after = await warnings()
  const good = await exchange(await world.jwt('billing'))

  expect([forged, without, good]).toEqual([401, 401, 200])
  expect([before, afterForged, after, await warnings()]).toEqual([0, 0, 1, 0])
})
