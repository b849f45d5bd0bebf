import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { CLOUD_PLATFORM } from './scopes.ts'
import { startGoogleStandIn, type GoogleStandIn } from './stand-in.ts'

const me = 'downscope@acme.iam.gserviceaccount.com'
const read = 'https://www.googleapis.com/auth/devstorage.read_only'

let google: GoogleStandIn

beforeAll(async () => {
  google = await startGoogleStandIn()
  await google.createServiceAccount({ email: me })
})
beforeEach(() => google.runAs(me))
afterAll(() => google.close())

const ask = (path: string, headers: Readonly<Record<string, string>> = { 'metadata-flavor': 'Google' }) =>
  fetch(`http://${google.metadataHost}/computeMetadata/v1/instance/service-accounts/${path}`, { headers })
const tokenOf = async (path: string) => {
  const { access_token: token } = (await (await ask(path)).json()) as { access_token: string }
  return google.token(token)
}

test('asks for its header, and refuses whoever was sent by another', async () => {
  expect((await ask('default/token', {})).status).toBe(403)
  expect((await ask('default/token', { 'metadata-flavor': 'google' })).status).toBe(403)
  expect(
    (await ask('default/token', { 'metadata-flavor': 'Google', 'x-forwarded-for': '1.2.3.4' })).status,
  ).toBe(403)
})

test('gives the asked scopes where the platform respects them, and else those of the machine', async () => {
  expect(await tokenOf(`default/token?scopes=${read}`)).toMatchObject({ scopes: [read], subject: me })
  expect((await tokenOf('default/token'))?.scopes).toEqual([CLOUD_PLATFORM])
  google.runAs(me, { respectsScopes: false, scopes: [read, CLOUD_PLATFORM] })
  expect((await tokenOf(`${me}/token?scopes=${read}`))?.scopes).toEqual([read, CLOUD_PLATFORM])
})

test('tells address and scopes, and carries its flavour', async () => {
  const answer = await ask('default/email')
  expect([await answer.text(), answer.headers.get('metadata-flavor')]).toEqual([me, 'Google'])
  expect(await (await ask('default/scopes')).text()).toBe(CLOUD_PLATFORM)
})

test('gives an ID token as bare text, and only for an audience', async () => {
  const token = await (await ask('default/identity?audience=https://a.example')).text()
  expect(google.token(token)).toMatchObject({ kind: 'id_token', audience: 'https://a.example', subject: me })
  expect((await ask('default/identity')).status).toBe(400)
})

test('knows no other account, and none where none is attached', async () => {
  expect((await ask('other@acme.iam.gserviceaccount.com/token')).status).toBe(404)
  google.runAs()
  expect((await ask('default/token')).status).toBe(404)
})
