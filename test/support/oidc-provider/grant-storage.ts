/** What oidc-provider keeps, in a shape that a test can look into: its own storage forgets after 1,000 entries. */
export interface GrantStorage {
  /** oidc-provider makes one for each of its models. */
  readonly adapterFor: (model: string) => Adapter
  /** Grants whose tokens were all revoked together: what reuse detection does to a family. */
  readonly revokedGrants: () => readonly string[]
  /** The values of all tokens of that model, consumed ones included. */
  readonly valuesOf: (model: string) => readonly string[]
}

interface Payload {
  readonly grantId?: string
  readonly consumed?: number
}

interface Adapter {
  upsert(id: string, payload: Payload): Promise<void>
  find(id: string): Promise<Payload | undefined>
  consume(id: string): Promise<void>
  destroy(id: string): Promise<void>
  revokeByGrantId(grantId: string): Promise<void>
}

/** The models that a grant takes along when it is revoked. */
const tokens: ReadonlySet<string> = new Set(['AccessToken', 'RefreshToken'])

export function createGrantStorage(): GrantStorage {
  const kept = new Map<string, Map<string, Payload>>()
  const revoked: string[] = []
  const of = (model: string): Map<string, Payload> => {
    const known = kept.get(model) ?? new Map<string, Payload>()
    kept.set(model, known)
    return known
  }

  return {
    adapterFor: (model) => ({
      upsert: async (id, payload) => void of(model).set(id, payload),
      find: async (id) => of(model).get(id),
      consume: async (id) => {
        const payload = of(model).get(id)
        if (payload !== undefined) of(model).set(id, { ...payload, consumed: Math.floor(Date.now() / 1000) })
      },
      destroy: async (id) => void of(model).delete(id),
      revokeByGrantId: async (grantId) => {
        // Called once for each model that has tokens of grants.
        if (!revoked.includes(grantId)) revoked.push(grantId)
        for (const name of tokens)
          for (const [id, payload] of of(name)) if (payload.grantId === grantId) of(name).delete(id)
      },
    }),
    revokedGrants: () => revoked,
    valuesOf: (model) => [...of(model).keys()],
  }
}
