import { describe, expect, it } from 'vitest'
import type { PublishedJwk } from '../../src/domain/jwk.ts'
import { issuer } from '../support/fake-modules.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'
import { createPrivateJwk, privateTexts, readKeys } from '../support/signing-key-set.ts'

const configurationPath = '/.well-known/openid-configuration'
const keySetPath = '/.well-known/jwks.json'
const metadataPath = '/.well-known/oauth-authorization-server'

const privateKeys = [await createPrivateJwk('ec-1'), await createPrivateJwk('rsa-1', 'RS256')]
const publishedKeys = readKeys(...privateKeys).map(({ published }) => published)

describe("the broker's public keys", () => {
  it('are all published with the members that verifying needs and no others, for five minutes', async () => {
    const answer = await createFakeHttpLayer({ publishedKeys }).app.request(keySetPath)
    const [ec, rsa] = privateKeys

    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toStrictEqual({
      'cache-control': 'public, max-age=300',
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-request-id': '00000000-0000-4000-8000-000000000001',
    })
    expect(await answer.json()).toStrictEqual({
      keys: [
        { kty: 'EC', alg: 'ES256', use: 'sig', kid: 'ec-1', crv: 'P-256', x: ec?.['x'], y: ec?.['y'] },
        { kty: 'RSA', alg: 'RS256', use: 'sig', kid: 'rsa-1', n: rsa?.['n'], e: 'AQAB' },
      ],
    })
  })

  it.each('d p q dp dq qi oth k key_ops ext x5c x5u anything'.split(' '))(
    'P23: "%s" is never published, even if a key had it',
    async (member) => {
      const keys = publishedKeys.map((key): PublishedJwk => ({ ...key, [member]: 'hunter2' }))
      const { app } = createFakeHttpLayer({ publishedKeys: keys })

      for (const path of [keySetPath, configurationPath, metadataPath]) {
        const text = await (await app.request(path)).text()
        expect(text).not.toMatch(new RegExp(`hunter2|"${member}"`))
      }
    },
  )

  it('P23: no private text of the set is in any public document', async () => {
    const { app } = createFakeHttpLayer({ publishedKeys })
    const texts = await Promise.all(
      [keySetPath, configurationPath, metadataPath].map(async (path) => (await app.request(path)).text()),
    )

    for (const secret of privateTexts(privateKeys)) expect(texts.join()).not.toContain(secret)
    expect(texts.join()).toContain(String(privateKeys[0]?.['x']))
  })
})

describe('OpenID Connect Discovery', () => {
  it('says where the keys are, from the configured issuer and never from Host', async () => {
    const { app } = createFakeHttpLayer({ publishedKeys })
    const answer = await app.request(`https://evil.example${configurationPath}`, {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    })

    expect(answer.status).toBe(200)
    expect(await answer.json()).toStrictEqual({
      issuer,
      jwks_uri: `${issuer}${keySetPath}`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    })
  })

  it('names each algorithm once', async () => {
    const twice = publishedKeys.flatMap((key) => [key, key])
    const answer = await createFakeHttpLayer({ publishedKeys: twice }).app.request(configurationPath)

    expect(await answer.json()).toMatchObject({ id_token_signing_alg_values_supported: ['ES256', 'RS256'] })
  })

  it('RFC 8414: the server metadata names the same keys', async () => {
    const answer = await createFakeHttpLayer({ publishedKeys }).app.request(metadataPath)

    expect(await answer.json()).toMatchObject({ issuer, jwks_uri: `${issuer}${keySetPath}` })
  })

  it('an issuer with a path has it below the path, as OpenID Connect wants it, and where RFC 8414 inserts it', async () => {
    const { app } = createFakeHttpLayer({ publishedKeys, issuer: 'https://acme.example/broker' })
    const expected = {
      issuer: 'https://acme.example/broker',
      jwks_uri: `https://acme.example/broker${keySetPath}`,
    }

    for (const path of [configurationPath, `/broker${configurationPath}`, `${configurationPath}/broker`])
      expect(await (await app.request(path)).json()).toMatchObject(expected)
    for (const path of [keySetPath, `/broker${keySetPath}`])
      expect((await app.request(path)).status).toBe(200)
    expect((await app.request(`/other${keySetPath}`)).status).toBe(404)
  })

  it('without signing keys there are neither routes nor a word of them', async () => {
    const { app } = createFakeHttpLayer()

    expect((await app.request(configurationPath)).status).toBe(404)
    expect((await app.request(keySetPath)).status).toBe(404)
    expect(await (await app.request(metadataPath)).text()).not.toContain('jwks')
  })

  it.each([configurationPath, keySetPath])('%s is only read', async (path) => {
    const { app } = createFakeHttpLayer({ publishedKeys })
    const refused = await app.request(path, { method: 'POST' })

    expect([refused.status, refused.headers.get('allow')]).toStrictEqual([405, 'GET, HEAD, OPTIONS'])
    expect((await app.request(path, { method: 'HEAD' })).status).toBe(200)
  })
})
