import { originOf, type Upstream } from '../domain/upstream.ts'
import { upstreamPresets } from '../domain/upstream-presets.ts'
import type { Settings } from '../config.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'

export type NameCall = (url: string) => CallName

export interface CallName {
  readonly upstream: string
  readonly operation: string
}

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
