import { beforeEach, describe, expect, it } from 'vitest'
import { createBrokerWorld, jsonAnswer, type BrokerWorld } from '../support/broker-world.ts'

const revokeUrl = 'https://oauth2.googleapis.com/revoke'
const tokenUrl = 'https://oauth2.googleapis.com/token'

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
  await world.enrol()
})

const statuses = async () => [(await world.ask(0)).status, (await world.ask(1)).status]
const act = async (line: string, body?: object) => {
  const answer = await world.call(line, { as: 'ops', body })
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> }
}
const revoke = () => act('POST /v1/admin/credentials/team:revoke')
const sent = () => world.requests.filter(({ url }) => url === revokeUrl)

describe('revoking a credential', () => {
  it('P26: no instance serves a token of it 10 s later, and its refresh token is dead upstream', async () => {
    world.route(revokeUrl, () => jsonAnswer({}))
    expect(await statuses()).toEqual([200, 200])
    const { status, body } = await revoke()
    expect(status).toBe(200)
    expect(body).toMatchObject({
      local: 'done',
      upstream: 'done',
      credential: { name: 'team', state: 'revoked' },
    })
    expect(sent().map(({ body: form }) => new URLSearchParams(form).get('token'))).toEqual([
      '1//the-refresh-token',
    ])
    await world.clock.advance(10_000)
    expect(await statuses()).toEqual([400, 400])
    expect(world.minted()).toBe(1)
  })

  it('what is dead already upstream is success', async () => {
    world.route(revokeUrl, () => jsonAnswer({ error: 'invalid_token' }, 400))
    expect((await revoke()).body).toMatchObject({ local: 'done', upstream: 'already_dead' })
  })

  it('what fails upstream is told, leaves it revoked here, and is finished when it is asked for again', async () => {
    world.route(revokeUrl, () => jsonAnswer({ error: 'invalid_client' }, 401))
    const first = await revoke()
    await world.clock.advance(10_000)
    expect(first.body).toMatchObject({
      local: 'done',
      upstream: 'failed',
      detail: expect.stringMatching(/^the upstream answered 401 .*; revoke it again to finish$/) as string,
    })
    expect(await statuses()).toEqual([400, 400])
    world.route(revokeUrl, () => jsonAnswer({}))
    expect((await revoke()).body).toMatchObject({ local: 'done', upstream: 'done' })
  })

  it('drops the secret when the upstream is done, and a third time asks nobody and answers the same', async () => {
    world.route(revokeUrl, () => jsonAnswer({}))
    const { body } = await revoke()
    expect(JSON.stringify(await world.store.get('credentials/team'))).not.toContain('sealed')
    expect((await revoke()).body).toEqual(body)
    expect(sent()).toHaveLength(1)
  })

  it('is final: it is neither enabled nor disabled, and comes back with a new secret only', async () => {
    world.route(revokeUrl, () => jsonAnswer({}))
    await revoke()
    for (const verb of ['enable', 'disable'])
      expect(await act(`POST /v1/admin/credentials/team:${verb}`)).toMatchObject({
        status: 409,
        body: { code: 'state_conflict', detail: 'it is revoked: bring a new secret as its next version' },
      })
    const brought = await act('POST /v1/admin/credentials/team/versions', world.newSecret('1//the-second'))
    expect(brought.status).toBe(201)
  })

  it('ends what would bring it back, too: asked for again while a new secret is proved, it stays revoked', async () => {
    world.route(revokeUrl, () => jsonAnswer({ error: 'invalid_client' }, 401))
    await revoke()
    world.route(tokenUrl, () => jsonAnswer({ error: 'invalid_grant' }, 400))
    const brought = await act('POST /v1/admin/credentials/team/versions', world.newSecret('1//the-second'))
    expect(brought.body).toMatchObject({ rotation: { step: 'prove' } })
    world.route(revokeUrl, () => jsonAnswer({}))
    const again = await revoke()
    expect(again.body).toMatchObject({ upstream: 'done', credential: { state: 'revoked' } })
    world.route(tokenUrl, () =>
      jsonAnswer({ access_token: 'ya29.x', expires_in: 3599, token_type: 'Bearer' }),
    )
    await world.clock.advance(600_000)
    await act('POST /v1/admin/maintenance:run')

    const { body } = await act('GET /v1/admin/credentials/team')
    expect(body).toMatchObject({ state: 'revoked', revocation: { upstream: 'done' } })
    expect(body).not.toHaveProperty('rotation')
    expect(sent().map(({ body: form }) => new URLSearchParams(form).get('token'))).toEqual([
      '1//the-refresh-token',
      '1//the-refresh-token',
      '1//the-second',
    ])
  })

  it('is audited, and one that is not there is not found', async () => {
    await revoke()
    expect(world.audits.at(-1)).toMatchObject({
      action: 'credential.revoke',
      credential: 'team',
      outcome: 'done',
    })
    expect((await act('POST /v1/admin/credentials/other:revoke')).status).toBe(404)
  })

  it('of an API key says plainly what is left to do', async () => {
    await act('POST /v1/admin/credentials', {
      name: 'maps',
      secret: { type: 'api_key', key: `AIza${'x'.repeat(35)}` },
    })
    expect((await act('POST /v1/admin/credentials/maps:revoke')).body).toMatchObject({
      local: 'done',
      upstream: 'not_possible',
      detail: 'delete the key at its upstream: whoever holds it can use it',
    })
  })
})
