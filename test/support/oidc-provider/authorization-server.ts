import { createServer } from 'node:http'
import Provider, { type Context } from 'oidc-provider'
import { createGrantStorage } from './grant-storage.ts'
import { listenOnLoopback } from '../listen.ts'

export interface ClientOptions {
  readonly client_id: string
  readonly client_secret?: string
  readonly token_endpoint_auth_method: string
  readonly token_endpoint_auth_signing_alg?: string
  readonly jwks?: object
}

/** What happens before or after the certified server has its say; an exception takes its place. */
export interface Interference {
  readonly before?: (context: Context) => void
  readonly after?: (context: Context) => void
}

export type AuthorizationServer = Awaited<ReturnType<typeof startAuthorizationServer>>

/**
 * A certified OAuth 2.0 server on loopback, as it is: every refresh consumes its refresh token, and one that comes
 * twice revokes all tokens of its grant.
 */
export async function startAuthorizationServer(options: {
  readonly clients: readonly ClientOptions[]
  readonly scopes: readonly string[]
  readonly accessTokenSeconds?: number
}) {
  const server = createServer()
  const port = await listenOnLoopback(server)
  const issuer = `http://127.0.0.1:${port}`
  const storage = createGrantStorage()
  const provider = new Provider(issuer, {
    adapter: storage.adapterFor,
    clients: options.clients.map((client) => ({
      grant_types: ['refresh_token', 'authorization_code', 'client_credentials'],
      redirect_uris: ['https://app.example/callback'],
      ...client,
    })),
    cookies: { keys: ['for tests'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true },
    },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    findAccount: (_: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    scopes: ['offline_access', ...options.scopes],
    ttl: { AccessToken: options.accessTokenSeconds ?? 3600, ClientCredentials: 3600, RefreshToken: 86_400 },
  })
  const posts: string[] = []
  const interferences: Interference[] = []
  provider.use(async (context, next) => {
    if (context.path !== '/token') return next()
    posts.push(context.path)
    const mine = interferences.shift()
    mine?.before?.(context)
    await next()
    mine?.after?.(context)
  })
  server.on('request', provider.callback())

  return {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    revocationEndpoint: `${issuer}/token/revocation`,
    storage,
    posts: () => posts.length,
    /** Happens to the next request for a token and to that one only; a second call, to the one after it. */
    interfereOnce: (once: Interference) => {
      interferences.push(once)
    },
    /** What an authorization code would have brought: the first refresh token of a new grant. */
    createRefreshToken: async (clientId: string, scopes: readonly string[]): Promise<string> => {
      const client = await provider.Client.find(clientId)
      const grant = new provider.Grant({ accountId: 'ann', clientId })
      grant.addOIDCScope(scopes.join(' '))
      const grantId = await grant.save()
      const token = new provider.RefreshToken({
        accountId: 'ann',
        client,
        grantId,
        gty: 'authorization_code',
        scope: scopes.join(' '),
      })
      return token.save()
    },
    /** What the server itself says the token carries; `undefined` when it does not know it, or no more. */
    scopesOf: async (token: string): Promise<readonly string[] | undefined> => {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token))
      return found === undefined ? undefined : (found.scope ?? '').split(' ').filter((word) => word !== '')
    },
    /** Every value it ever gave away, for tests of what must not be shown. */
    secrets: (): readonly string[] =>
      ['AccessToken', 'RefreshToken', 'ClientCredentials'].flatMap(storage.valuesOf),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
