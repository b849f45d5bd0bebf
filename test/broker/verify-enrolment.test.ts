import { beforeEach, describe, expect, it } from 'vitest'
import { createBrokerWorld, jsonAnswer, type BrokerWorld } from '../support/broker-world.ts'

const tokenUrl = 'https://oauth2.googleapis.com/token'
const read = 'https://www.googleapis.com/auth/drive.readonly'
const file = 'https://www.googleapis.com/auth/drive.file'

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
})

const enrol = (name: string, more: object = {}) =>
  world.call('POST /v1/admin/credentials', {
    as: 'ops',
    body: { name, ...world.newSecret('1//first'), scopes: [read, file], verify: true, ...more },
  })
const statusOf = async (name: string) =>
  (await world.call(`GET /v1/admin/credentials/${name}`, { as: 'ops' })).status

/** An upstream that answers so; the refresh tokens that were sent to it. */
function answering(answer: (form: URLSearchParams) => ReturnType<typeof jsonAnswer>): readonly string[] {
  const sent: string[] = []
  world.route(tokenUrl, ({ body }) => {
    const form = new URLSearchParams(body)
    sent.push(form.get('refresh_token') ?? '')
    return answer(form)
  })
  return sent
}

const token = (form: URLSearchParams, more: object = {}) =>
  jsonAnswer({
    access_token: 'ya29.token',
    expires_in: 3599,
    token_type: 'Bearer',
    scope: form.get('scope') ?? '',
    ...more,
  })

describe('an enrolment that is to be verified', () => {
  it('whose secret its upstream refuses is answered 422 with what the upstream said, and is not enrolled', async () => {
    answering(() => jsonAnswer({ error: 'invalid_grant', error_description: 'Bad Request' }, 400))
    const answer = await enrol('team')

    expect(answer.status).toBe(422)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(await answer.json()).toMatchObject({
      code: 'document_invalid',
      detail: expect.stringMatching(/^secret: its upstream refuses it: .*invalid_grant/) as unknown,
    })
    expect(await statusOf('team')).toBe(404)
  })

  it('whose upstream cannot say is answered 503, and is enrolled: the same again tries it again', async () => {
    answering(() => jsonAnswer({ error: 'temporarily_unavailable' }, 503))
    let isAnswered = false
    const asked = enrol('team').finally(() => (isAnswered = true))
    while (!isAnswered) {
      await world.clock.advance(1_000)
      // Signatures are made beside the clock.
      await new Promise((turn) => setTimeout(turn, 0))
    }
    expect((await asked).status).toBe(503)
    expect(await statusOf('team')).toBe(200)
    answering((form) => token(form))
    await world.clock.advance(60_000)
    expect((await enrol('team')).status).toBe(201)
  })

  it('T26: stores a rotated refresh token before it answers, also where the second refresh fails', async () => {
    let refreshes = 0
    const sent = answering((form) => {
      refreshes += 1
      return refreshes === 1
        ? token(form, { refresh_token: '1//second' })
        : jsonAnswer({ error: 'invalid_scope' }, 400)
    })
    expect((await enrol('team')).status).toBe(201)
    const later = answering((form) => token(form))
    expect((await world.ask()).status).toBe(200)

    expect(sent).toEqual(['1//first', '1//second'])
    expect(later).toEqual(['1//second'])
  })

  it('of a secret that is enrolled under another name says so, and sends nothing that would use it up', async () => {
    const sent = answering((form) => token(form))
    await enrol('team', { verify: false })
    const other = await enrol('other')

    expect(await other.json()).toMatchObject({ name: 'other', also_enrolled_as: ['team'] })
    expect(sent).toEqual([])
    const shown = await world.call('GET /v1/admin/credentials/other', { as: 'ops' })
    expect(await shown.json()).not.toHaveProperty('also_enrolled_as')
  })
})

it('short names of Google stand for their scopes, and an unknown one is answered with what was meant', async () => {
  const short = await enrol('team', { verify: false, scopes: ['drive.readonly', 'email'] })
  const wrong = await enrol('other', { verify: false, scopes: ['drive.redonly'] })

  expect(await short.json()).toMatchObject({ scopes: ['email', read] })
  expect(wrong.status).toBe(422)
  expect(await wrong.json()).toMatchObject({
    detail: 'scopes: "drive.redonly" is no scope of Google: did you mean "drive.readonly"?',
  })
})
