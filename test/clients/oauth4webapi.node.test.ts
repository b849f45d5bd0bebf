import { decodeJwt, decodeProtectedHeader } from 'jose'
import * as oauth from 'oauth4webapi'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  createClientWorld,
  idTokenAudience,
  mail,
  reading,
  type ClientWorld,
} from '../support/clients/client-world.ts'
import { createOAuthService, type OAuthService } from '../support/clients/oauth-service.ts'

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

// The library marks what plain http needs as deprecated, so that it is seen. This http is loopback.
// oxlint-disable-next-line typescript/no-deprecated
const insecure = { [oauth.allowInsecureRequests]: true }
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const

let world: ClientWorld
let server: oauth.AuthorizationServer
const services = new Map<string, OAuthService>()

beforeAll(async () => {
  const made = await Promise.all([
    ...algorithms.map((alg) => createOAuthService(`service-${alg}`, alg)),
    createOAuthService('endpoint-service', 'ES256', (issuer) => [`${issuer}/v1/token`]),
  ])
  for (const service of made) services.set(service.name, service)
  world = await createClientWorld([...services.values()])
  const issuer = new URL(world.url)
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  server = await oauth.processDiscoveryResponse(issuer, response)
  return () => world.close()
}, 60_000)

describe('oauth4webapi', () => {
  test('discovers the broker by RFC 8414', () => {
    expect(server).toMatchObject({
      issuer: world.url,
      token_endpoint: `${world.url}/v1/token`,
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
    })
    expect(server.grant_types_supported?.toSorted()).toEqual(['client_credentials', tokenExchange])
  })

  test.each(algorithms)(
    'P13: with %s and private_key_jwt gets a token of the scope it asked for',
    async (alg) => {
      const heard = world.proxy.listen()
      const { as, client, auth } = party(`service-${alg}`)
      const response = await oauth.clientCredentialsGrantRequest(as, client, auth, wanted, insecure)
      const answer = await oauth.processClientCredentialsResponse(as, client, response)

      expect(world.carried(answer.access_token).scopes).toEqual([reading])
      expect(answer).toMatchObject({ token_type: 'bearer', scope: reading })
      expect(answer.expires_in).toBeGreaterThanOrEqual(300)

      const assertion = heard()[0]?.form.get('client_assertion') ?? ''
      const header = decodeProtectedHeader(assertion)
      expect(header).toEqual({ alg: alg === 'EdDSA' ? 'Ed25519' : alg, kid: `service-${alg}-1` })
      expect(server.token_endpoint_auth_signing_alg_values_supported).toContain(header.alg)
      expect(decodeJwt(assertion)).toMatchObject({
        aud: world.url,
        iss: `service-${alg}`,
        sub: `service-${alg}`,
      })
    },
  )

  test('P13: exchanges a workload token by RFC 8693', async () => {
    const answer = await exchange({ ...wanted, scope: mail })

    expect(world.carried(answer.access_token).scopes).toEqual([mail])
    expect(answer['issued_token_type']).toBe('urn:ietf:params:oauth:token-type:access_token')
  })

  test('P13: takes an ID token when it is told of the token type N_A, and refuses it otherwise', async () => {
    const parameters = {
      audience: 'speaker',
      resource: idTokenAudience,
      requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    }
    const answer = await exchange(parameters, { recognizedTokenTypes: { n_a: () => {} } })

    expect(world.carried(answer.access_token)).toMatchObject({ kind: 'id_token', audience: idTokenAudience })
    await expect(exchange(parameters)).rejects.toThrow('unsupported `token_type` value')
  })
})

describe('oauth4webapi, made to name the audience that other libraries name', () => {
  test('P3: is refused with the token endpoint, unless the entry of its issuer names that', async () => {
    await expect(askFor('service-ES256', endpoint())).rejects.toMatchObject({ error: 'invalid_client' })
    const answer = await askFor('endpoint-service', endpoint())

    expect(world.carried(answer.access_token).scopes).toEqual([reading])
  })

  test('P3: is refused with issuer and token endpoint together, whatever the entry names', async () => {
    for (const name of ['service-ES256', 'endpoint-service'])
      await expect(askFor(name, [world.url, endpoint()])).rejects.toMatchObject({ error: 'invalid_client' })
  })

  test('P3: gets a token with a list of the issuer alone', async () => {
    const answer = await askFor('service-ES256', [world.url])

    expect(world.carried(answer.access_token).scopes).toEqual([reading])
  })

  const endpoint = (): string => `${world.url}/v1/token`

  function askFor(name: string, aud: string | string[]): Promise<oauth.TokenEndpointResponse> {
    const { as, client, service } = party(name)
    const auth = oauth.PrivateKeyJwt(
      { key: service.key, kid: `${name}-1` },
      { [oauth.modifyAssertion]: (_header, payload) => (payload['aud'] = aud) },
    )
    return judged(oauth.clientCredentialsGrantRequest(as, client, auth, wanted, insecure))
  }
})

describe('oauth4webapi reads a refusal as the OAuth error that it is', () => {
  test('P2: invalid_client for a key that is not the client’s', async () => {
    const { as, client } = party('service-ES256')
    const stranger = await createOAuthService('service-ES256', 'ES256')
    const request = oauth.clientCredentialsGrantRequest(as, client, keyOf(stranger), wanted, insecure)

    await expect(judged(request)).rejects.toMatchObject({
      name: 'ResponseBodyError',
      status: 401,
      error: 'invalid_client',
      error_description: matching(/^the client assertion is not accepted; request id/),
    })
  })

  test('P6: invalid_client for an assertion that was used before', async () => {
    const { as, client, service } = party('service-ES256')
    const auth = oauth.PrivateKeyJwt(
      { key: service.key, kid: `${service.name}-1` },
      { [oauth.modifyAssertion]: (_header, payload) => (payload['jti'] = 'always the same') },
    )
    const ask = () => judged(oauth.clientCredentialsGrantRequest(as, client, auth, wanted, insecure))

    expect(world.carried((await ask()).access_token).scopes).toEqual([reading])
    await expect(ask()).rejects.toMatchObject({ status: 401, error: 'invalid_client' })
  })

  test.each([
    ['P13: invalid_scope', { audience: 'reports', scope: 'openid' }, 'invalid_scope'],
    ['P12: invalid_target', { audience: 'nothing', scope: reading }, 'invalid_target'],
    ['P10: invalid_request', { scope: reading }, 'invalid_request'],
  ])('%s', async (_name, parameters, error) => {
    const { as, client, auth } = party('service-ES256')
    const request = oauth.clientCredentialsGrantRequest(
      as,
      client,
      auth,
      new URLSearchParams(parameters),
      insecure,
    )

    await expect(judged(request)).rejects.toMatchObject({ name: 'ResponseBodyError', status: 400, error })
  })

  test('invalid_request for a token exchange with client authentication: that is two proofs', async () => {
    const { as, client, auth } = party('service-ES256')
    const parameters = { ...wanted, subject_token: await world.subjectToken(), subject_token_type: jwtType }
    const request = oauth.genericTokenEndpointRequest(as, client, auth, tokenExchange, parameters, insecure)

    await expect(judged(request)).rejects.toMatchObject({
      status: 400,
      error: 'invalid_request',
      error_description: matching(
        /^subject_token and client_assertion are two proofs of identity; send one;/,
      ),
    })
  })
})

const wanted = { audience: 'reports', scope: reading }

function party(name: string) {
  const service = services.get(name)
  if (service === undefined) throw new Error(`there is no ${name}`)
  return { as: server, client: { client_id: name }, auth: keyOf(service), service }
}

function keyOf({ name, key }: OAuthService): oauth.ClientAuth {
  return oauth.PrivateKeyJwt({ key, kid: `${name}-1` })
}

async function judged(request: Promise<Response>): Promise<oauth.TokenEndpointResponse> {
  return oauth.processClientCredentialsResponse(server, { client_id: 'any' }, await request)
}

async function exchange(
  parameters: Readonly<Record<string, string>>,
  options: oauth.ProcessTokenResponseOptions = {},
): Promise<oauth.TokenEndpointResponse> {
  const client = { client_id: 'exporter' }
  const form = { ...parameters, subject_token: await world.subjectToken(), subject_token_type: jwtType }
  const response = await oauth.genericTokenEndpointRequest(
    server,
    client,
    oauth.None(),
    tokenExchange,
    form,
    insecure,
  )
  return oauth.processGenericTokenEndpointResponse(server, client, response, options)
}
