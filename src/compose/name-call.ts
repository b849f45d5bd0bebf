import { omitUndefined } from '../domain/omit-undefined.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient, HttpResult } from '../ports/http-client.ts'
import type { UpstreamStatus } from '../service/administer-service.ts'
import { originOf, type Upstream } from '../domain/upstream.ts'
import { upstreamPresets } from '../domain/upstream-presets.ts'
import type { Settings } from '../config.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'

export type NameCall = (url: string) => { readonly upstream: string; readonly operation: string }

/** What a request is for, by its address alone: from closed sets and the policy's names, so labels stay few. */
export function createNameCall(
  {
    google,
    firestoreEmulatorHost,
    metadataHost,
    webhook,
  }: Pick<Settings, 'google' | 'firestoreEmulatorHost' | 'metadataHost' | 'webhook'>,
  policy: () => CompiledPolicy | undefined,
): NameCall {
  const presets = Object.keys(upstreamPresets)
  const upstreams = (): readonly Upstream[] => {
    const inForce = policy()
    if (inForce === undefined) return []
    return [...inForce.policy.upstreams, ...presets.flatMap((name) => inForce.findUpstream(name) ?? [])]
  }
  const exact = new Map<string, string>([
    [google.oauthTokenUrl, 'token'],
    [google.stsTokenUrl, 'sts'],
    [google.revokeUrl, 'revoke'],
    [google.tokeninfoUrl, 'tokeninfo'],
  ])
  const below: readonly (readonly [string, string])[] = [
    [`${google.iamCredentialsUrl}/`, 'iam_credentials'],
    [`${google.iamUrl}/`, 'iam'],
    [`${google.kmsUrl}/`, 'kms'],
    [`http://${metadataHost ?? 'metadata.google.internal'}/`, 'metadata'],
    ['https://firestore.googleapis.com/', 'store'],
    ...(firestoreEmulatorHost === undefined ? [] : [[`http://${firestoreEmulatorHost}/`, 'store'] as const]),
  ]
  return (url) => {
    if (url === webhook?.url) return { upstream: 'webhook', operation: 'event' }
    const [bare = ''] = url.split('?')
    const known = exact.get(bare) ?? below.find(([prefix]) => bare.startsWith(prefix))?.[1]
    if (known !== undefined) return { upstream: 'google', operation: known }
    const origin = URL.parse(bare)?.origin
    const found = upstreams().find((one) => originOf(one) === origin)
    const operation = operationIn(bare, found)
    if (found !== undefined) return { upstream: found.name, operation }
    return { upstream: operation === 'keys' || operation === 'discovery' ? 'issuer' : 'other', operation }
  }
}

/** Wraps the client that the modules send with, so that it is known how each upstream answered this instance last. */
export function watchUpstreams(
  { http, clock }: { readonly http: HttpClient; readonly clock: Pick<Clock, 'now'> },
  nameCall: NameCall,
): { readonly http: HttpClient; readonly seen: () => readonly UpstreamStatus[] } {
  // By the names of the policy and of presets alone, so there are few.
  const last = new Map<string, UpstreamStatus>()
  return {
    http: async (request) => {
      const result = await http(request)
      const { upstream: name } = nameCall(request.url)
      if (name === 'other' || name === 'issuer') return result
      const reason = faultOf(result)
      const before = last.get(name)
      const at = reason !== undefined && before?.ok === false ? before.at : clock.now()
      last.set(name, { name, at, ok: reason === undefined, ...omitUndefined({ reason }) })
      return result
    },
    seen: () => [...last.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  }
}

function faultOf(result: HttpResult): string | undefined {
  if (result.kind === 'failure') return `no answer: ${result.cause.replaceAll('_', ' ')}`
  return result.status >= 500 || result.status === 429 ? `it answers ${result.status}` : undefined
}

const words = [
  [/\/\.well-known\/(?:openid-configuration|oauth-authorization-server)/, 'discovery'],
  [/revo/, 'revoke'],
  [/introspect/, 'introspect'],
  [/jwks|certs|keys|x509/, 'keys'],
  [/token/, 'token'],
] as const

function operationIn(url: string, upstream: Upstream | undefined): string {
  if (upstream?.endpoints.from === 'policy') {
    const { token, revocation, introspection, keys } = upstream.endpoints
    if (url === token) return 'token'
    if (url === revocation) return 'revoke'
    if (url === introspection) return 'introspect'
    if (url === keys) return 'keys'
  }
  return words.find(([pattern]) => pattern.test(url))?.[1] ?? 'other'
}
