import type { Hono } from 'hono'

import type { PublishedJwk } from '../domain/published-jwk.ts'
import type { Readiness } from '../lifecycle/readiness.ts'
import type { Entropy } from '../ports/entropy.ts'
import { jsonAnswer } from './json-answer.ts'
import { issuerUrl, serverMetadata } from './metadata.ts'
import openApi from './openapi.json' with { type: 'json' }
import { addPublishedKeys } from './published-keys.ts'
import type { Refuse } from './refuse.ts'

export interface PublicRoutesDeps {
  readonly issuer: string
  readonly readiness: () => Promise<Readiness>
  readonly publishedKeys?: readonly PublishedJwk[]
  readonly entropy: Entropy
  /** Every path that a path below the issuer is reached at. */
  readonly at: (route: string) => string[]
  /** The issuer's own, empty for most. */
  readonly path: string
  readonly refuse: Refuse
}

/** What anybody may read: metadata, keys, the description of the API, and how the broker fares. */
export function addPublicRoutes(app: Hono, deps: PublicRoutesDeps): void {
  const { issuer, entropy, readiness, publishedKeys: keys, at, path, refuse } = deps
  const metadata = serverMetadata(issuer, { keys: keys !== undefined })
  // RFC 8414 §3.1: the well-known part goes between the host and the issuer's path.
  const metadataAt = (route: string) => (path === '' ? [route] : [...at(route), `${route}${path}`])
  app.on('GET', metadataAt('/.well-known/oauth-authorization-server'), () =>
    jsonAnswer({ status: 200, text: metadata, requestId: entropy.uuid() }),
  )
  if (keys !== undefined) addPublishedKeys(app, { issuer, keys, entropy, at, metadataAt })

  // Octets and not text: an answer that waits to be read then holds no copy of them.
  let description: Uint8Array<ArrayBuffer> | undefined
  app.on('GET', at('/openapi.json'), () => {
    description ??= new Uint8Array(
      new TextEncoder().encode(JSON.stringify({ ...openApi, servers: [{ url: issuerUrl(issuer, '') }] })),
    )
    return jsonAnswer({ status: 200, text: description, requestId: entropy.uuid() })
  })

  app.on('GET', at('/healthz'), () =>
    jsonAnswer({ status: 200, text: '{"status":"ok"}', requestId: entropy.uuid() }),
  )

  app.on('GET', at('/readyz'), async (context) => {
    const requestId = entropy.uuid()
    try {
      return readinessResponse(await readiness(), requestId)
    } catch (error) {
      return refuse(error, requestId, context.req.raw)
    }
  })
}

/** Stopped is no fault: an orchestrator that took the instance away would take the way to resume with it. */
function readinessResponse({ store, keyRing, policy, isStopped }: Readiness, requestId: string): Response {
  const isReady = [store, keyRing, policy].every((word) => word === 'ok')
  const status = isReady ? 'ok' : 'fault'
  const text = JSON.stringify({ status, store, key_ring: keyRing, policy, stopped: isStopped })
  return jsonAnswer({ status: isReady ? 200 : 503, text, requestId })
}
