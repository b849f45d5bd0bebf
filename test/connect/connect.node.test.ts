import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consent, startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'

let world: PeopleWorld
beforeAll(async () => {
  world = await startPeopleWorld({
    policy: ({ issuer }) => ({
      upstreams: [{ name: 'dev', issuer, discovery: true, client_auth: 'client_secret_basic' }],
      rules: [
        {
          name: 'billing reads notes',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'notes',
          scopes: ['notes.read'],
        },
      ],
    }),
  })
  const secret = { type: 'oauth_client', client_id: 'downscope-connect', client_secret: 'development-only' }
  const enrolled = await world.admin('POST credentials', { name: 'dev-client', upstream: 'dev', secret })
  expect([enrolled.status, enrolled.document['kind']]).toEqual([201, 'oauth_client'])
})
afterAll(() => world.close())

const wanted = { name: 'notes', upstream: 'dev', client: 'dev-client', scopes: ['notes.read', 'notes.write'] }

describe('connecting', () => {
  test('a link, a consent, a nonce: and the caller has its token', async () => {
    const { id, url, nonce } = await start()
    expect(await state(id)).toMatchObject({ state: 'pending' })
    const visitor = createVisitor()
    const asking = await visitor.open(url)
    expect(asking.html).toContain('Continue to dev')
    expect(asking.html).toContain('<code>ops</code>')
    const thanks = await through(visitor, url)

    expect(thanks.html).toContain('Thank you')
    expect(await state(id)).toMatchObject({
      state: 'consented',
      account: 'ann@dev.example',
      scopes: ['notes.read', 'notes.write'],
    })
    const finished = await finalize(id, { nonce, account: 'ann@dev.example' })
    expect(finished.document).toMatchObject({
      name: 'notes',
      kind: 'refresh_token',
      state: 'enabled',
      source: 'dev-client',
      account: 'ann@dev.example',
      scopes: ['notes.read', 'notes.write'],
    })
    expect(await state(id)).toMatchObject({ state: 'finished' })
    const token = await world.token('notes')
    expect([token.status, token.document['scope']]).toEqual([200, 'notes.read'])
  })
})

interface Started {
  readonly id: string
  readonly url: string
  readonly nonce: string
}

async function start(changes: object = {}): Promise<Started> {
  const { status, document } = await world.admin('POST connections', { ...wanted, ...changes })
  expect([status, document]).toMatchObject([201, {}])
  return { id: String(document['id']), url: String(document['url']), nonce: String(document['nonce']) }
}

async function state(id: string): Promise<object> {
  return (await world.admin(`GET connections/${id}`)).document
}

function finalize(id: string, body: object) {
  return world.admin(`POST connections/${id}:finalize`, body)
}

/** Through our page and the upstream's, as somebody. */
async function through(visitor: Visitor, url: string, person = 'Ann') {
  const asking = await visitor.open(url)
  const login = await visitor.press(asking, 'Continue')
  const next = login.html.includes('Who are you?')
    ? await visitor.press(login, `Sign in as ${person}`)
    : login
  return consent(visitor, next)
}
