import { decodeJwt } from 'jose'
import * as client from 'openid-client'
import { beforeAll, describe, expect, test } from 'vitest'
import { createClientWorld, mail, reading, type ClientWorld } from '../support/clients/client-world.ts'
import { createOAuthService, type OAuthService } from '../support/clients/oauth-service.ts'

const algorithms = ['ES256', 'RS256', 'EdDSA'] as const
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

let world: ClientWorld
let services: readonly OAuthService[]

beforeAll(async () => {
  services = await Promise.all(algorithms.map((alg) => createOAuthService(`service-${alg}`, alg)))
  world = await createClientWorld(services)
  return () => world.close()
}, 60_000)

describe('openid-client', () => {
  test.each(algorithms)(
    'P13: discovers the broker and with %s gets a token of the scope it asked for',
    async (alg) => {
      const heard = world.proxy.listen()
      const config = await discover(`service-${alg}`)
      const answer = await client.clientCredentialsGrant(config, { audience: 'reports', scope: reading })

      expect(world.carried(answer.access_token).scopes).toEqual([reading])
      expect(answer.expiresIn()).toBeGreaterThanOrEqual(300)
      expect(decodeJwt(heard()[0]?.form.get('client_assertion') ?? '').aud).toBe(world.url)
    },
  )

  test('P13: exchanges a workload token by RFC 8693, without client authentication', async () => {
    const config = await discover('exporter', client.None())
    const answer = await client.genericGrantRequest(config, tokenExchange, {
      audience: 'reports',
      scope: mail,
      subject_token: await world.subjectToken(),
      subject_token_type: jwtType,
    })

    expect(world.carried(answer.access_token).scopes).toEqual([mail])
  })

  test.each([
    ['P13: invalid_scope', { audience: 'reports', scope: 'openid' }, 'invalid_scope'],
    ['P12: invalid_target', { audience: 'nothing', scope: reading }, 'invalid_target'],
  ])('says %s when it is refused', async (_name, parameters, error) => {
    const config = await discover('service-ES256')

    await expect(client.clientCredentialsGrant(config, parameters)).rejects.toMatchObject({
      error,
      status: 400,
    })
  })

  test('P1: says invalid_client when its assertion does not verify', async () => {
    const stranger = await createOAuthService('service-ES256', 'ES256')
    const config = await discover(
      'service-ES256',
      client.PrivateKeyJwt({ key: stranger.key, kid: 'service-ES256-1' }),
    )

    await expect(
      client.clientCredentialsGrant(config, { audience: 'reports', scope: reading }),
    ).rejects.toMatchObject({ error: 'invalid_client', status: 401 })
  })
})

function discover(name: string, auth?: client.ClientAuth): Promise<client.Configuration> {
  const own = services.find((service) => service.name === name)
  const proof =
    auth ?? (own === undefined ? undefined : client.PrivateKeyJwt({ key: own.key, kid: `${name}-1` }))
  return client.discovery(new URL(world.url), name, undefined, proof, {
    algorithm: 'oauth2',
    // The library marks what plain http needs as deprecated, so that it is seen. This http is loopback.
    // oxlint-disable-next-line typescript/no-deprecated
    execute: [client.allowInsecureRequests],
  })
}
