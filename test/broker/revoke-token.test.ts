import { beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createBrokerWorld, type BrokerWorld, type Person } from '../support/broker-world.ts'

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
  await world.enrol()
})

const tokenFrom = async (instance: number, person: Person = 'billing') => {
  const answer = await world.ask(instance, person)
  return z.object({ access_token: z.string() }).parse(await answer.json()).access_token
}
const revoke = async (token: string, person: Person = 'billing') =>
  world.call('POST /v1/revoke', {
    body: new URLSearchParams({
      token,
      token_type_hint: 'access_token',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await world.jwt(person),
    }),
  })
const isActive = async (token: string, at: number) => {
  const answer = await world.call('POST /v1/introspect', { body: new URLSearchParams({ token }), at })
  return z.looseObject({ active: z.boolean() }).parse(await answer.json()).active
}

describe('a token that is given back', () => {
  it('P26: is served by no instance and active on none 10 s later; whoever shared it gets a new one', async () => {
    const token = await tokenFrom(0)
    expect(await tokenFrom(1, 'reports')).toBe(token)
    const answer = await revoke(token)
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    await world.clock.advance(10_000)
    const next = await tokenFrom(1, 'reports')
    expect(next).not.toBe(token)
    expect(await tokenFrom(0)).toBe(next)
    expect([await isActive(token, 0), await isActive(token, 1), await isActive(next, 0)]).toEqual([
      false,
      false,
      true,
    ])
    expect(world.minted()).toBe(2)
  })

  it('is not revoked upstream, where the whole grant would end with it', async () => {
    await revoke(await tokenFrom(0))
    expect(world.requests.filter(({ url }) => url.endsWith('/revoke'))).toEqual([])
  })

  it('may be given back twice, and one that nobody knows as well (RFC 7009 §2.2)', async () => {
    const token = await tokenFrom(0)
    expect([(await revoke(token)).status, (await revoke(token)).status]).toEqual([200, 200])
    expect((await revoke('ya29.nobody-knows')).status).toBe(200)
  })

  it('P27: leaves one record, with its digest and never itself', async () => {
    const token = await tokenFrom(0)
    const digest = world.audits.at(-1)?.tokenDigest
    await revoke(token)
    expect(world.audits.at(-1)).toMatchObject({
      action: 'token.revoke',
      outcome: 'done',
      caller: 'billing',
      credential: 'team',
      tokenDigest: digest,
    })
    expect(
      JSON.stringify([world.audits, world.lines, await world.store.get('blocks/current')]),
    ).not.toContain(token)
  })

  it('comes from an authenticated caller that may have such a token at all', async () => {
    const token = await tokenFrom(0)
    const nobody = await world.call('POST /v1/revoke', { body: new URLSearchParams({ token }) })
    expect([nobody.status, await nobody.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_request' }),
    ])
    const stranger = await revoke(token, 'ops')
    expect([stranger.status, await stranger.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_target' }),
    ])
    await world.clock.advance(10_000)
    expect(await isActive(token, 0)).toBe(true)
  })

  it('P11: is named once, in a form', async () => {
    const assertion = { client_assertion: await world.jwt('billing') }
    for (const body of ['token=a&token=b', '', new URLSearchParams(assertion)])
      expect((await world.call('POST /v1/revoke', { body })).status).toBe(400)
  })

  it('P20: is not said to be revoked when the store cannot remember it', async () => {
    const token = await tokenFrom(0)
    world.store.before = async (operation) => {
      if (operation === 'put') world.store.down = true
    }
    expect((await revoke(token)).status).toBe(503)
  })

  it('finds the endpoint in the metadata', async () => {
    const answer = await world.call('GET /.well-known/oauth-authorization-server')
    expect(await answer.json()).toMatchObject({
      revocation_endpoint: 'https://tokens.acme.example/v1/revoke',
      revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
    })
  })
})
