import type { JSONWebKeySet, JWTPayload } from 'jose'

/** A provider of a workload identity pool: whose JWTs Google exchanges, and which of them. */
export type PoolProvider = {
  /** `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/X` */
  readonly audience: string
  readonly issuer: string
  readonly jwks: JSONWebKeySet
  /** What the JWT's `aud` may be; default the audience, with and without `https:`. */
  readonly allowedAudiences?: readonly string[]
  /** The attribute condition; default true. */
  readonly condition?: (claims: JWTPayload) => boolean
  readonly disabled?: boolean
}

export type WorkloadPools = {
  readonly put: (provider: PoolProvider) => void
  readonly find: (audience: string) => PoolProvider | undefined
}

const resourceName =
  /^\/\/iam\.googleapis\.com\/(projects\/[0-9]+\/locations\/global\/workloadIdentityPools\/[a-z0-9-]+)\/providers\/[a-z0-9-]+$/

export function createWorkloadPools(): WorkloadPools {
  const providers = new Map<string, PoolProvider>()
  return {
    put: (provider) => {
      if (poolOf(provider.audience) === undefined) {
        throw new Error(`not the full resource name of a provider: ${provider.audience}`)
      }
      providers.set(provider.audience, provider)
    },
    find: (audience) => providers.get(audience),
  }
}

/** The pool's name inside a provider's full resource name; undefined when it is not one. */
export function poolOf(audience: string): string | undefined {
  return resourceName.exec(audience)?.[1]
}

/** Who a federated token speaks for: the name to give to `allowImpersonation`. */
export function federatedPrincipal(audience: string, subject: string): string {
  return `principal://iam.googleapis.com/${poolOf(audience) ?? ''}/subject/${subject}`
}
