import { createServer } from 'node:http'
import type { PublicJwk } from '../../../src/domain/jwk.ts'
import { listenOnLoopback } from '../listen.ts'

/** An issuer that publishes its keys on loopback. It goes by another name: nobody trusts an issuer on loopback (T27). */
export interface KeySite {
  /** Its `iss`. */
  readonly issuer: string
  /** Where its JWK set is. */
  readonly keysUrl: string
  readonly publish: (keys: readonly PublicJwk[]) => void
  /** How often its JWK set was fetched. */
  readonly fetches: () => number
  readonly close: () => Promise<void>
}

export async function startKeySite(): Promise<KeySite> {
  let keys: readonly PublicJwk[] = []
  let fetches = 0
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url === '/jwks') {
      fetches += 1
      response.end(JSON.stringify({ keys }))
      return
    }
    response.writeHead(501).end()
  })
  const port = await listenOnLoopback(server)
  return {
    issuer: 'https://cluster.acme.example',
    keysUrl: `http://127.0.0.1:${port}/jwks`,
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
