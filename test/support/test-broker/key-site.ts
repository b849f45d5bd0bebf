import { createServer } from 'node:http'
import type { PublicJwk } from '../../../src/domain/jwk.ts'
import { listenOnLoopback } from '../listen.ts'

/** An issuer that publishes its keys on loopback, by OpenID Connect Discovery. */
export interface KeySite {
  /** Its `iss`. */
  readonly issuer: string
  readonly publish: (keys: readonly PublicJwk[]) => void
  /** How often its JWK set was fetched. */
  readonly fetches: () => number
  readonly close: () => Promise<void>
}

export async function startKeySite(): Promise<KeySite> {
  let keys: readonly PublicJwk[] = []
  let fetches = 0
  let issuer = ''
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }))
      return
    }
    if (request.url === '/jwks') {
      fetches += 1
      response.end(JSON.stringify({ keys }))
      return
    }
    response.writeHead(501).end()
  })
  issuer = `http://127.0.0.1:${await listenOnLoopback(server)}`
  return {
    issuer,
    publish: (published) => {
      keys = published
    },
    fetches: () => fetches,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
