/** What oidc-provider keeps of one thing: a session, a grant, a token. */
interface Payload {
  readonly consumed?: number
  readonly grantId?: string
  readonly uid?: string
  readonly userCode?: string
}

export interface DevelopmentGrants {
  /** What oidc-provider asks for each of its models. */
  readonly adapterFor: (model: string) => object
  readonly endAll: () => void
}

/** What oidc-provider keeps, in memory: its own storage cannot be told to end everybody's grants. */
export function createGrants(): DevelopmentGrants {
  const kept = new Map<string, Payload>()
  const adapterFor = (model: string) => {
    const keyOf = (id: string) => `${model}:${id}`
    const findBy = (matches: (payload: Payload) => boolean) =>
      Promise.resolve(
        [...kept].find(([key, payload]) => key.startsWith(`${model}:`) && matches(payload))?.[1],
      )
    return {
      upsert: (id: string, payload: Payload) => Promise.resolve(void kept.set(keyOf(id), payload)),
      find: (id: string) => Promise.resolve(kept.get(keyOf(id))),
      findByUid: (uid: string) => findBy((payload) => payload.uid === uid),
      findByUserCode: (code: string) => findBy((payload) => payload.userCode === code),
      consume: (id: string) => {
        const payload = kept.get(keyOf(id))
        if (payload !== undefined)
          kept.set(keyOf(id), { ...payload, consumed: Math.floor(Date.now() / 1000) })
        return Promise.resolve()
      },
      destroy: (id: string) => Promise.resolve(void kept.delete(keyOf(id))),
      revokeByGrantId: (grantId: string) => {
        for (const [key, payload] of kept)
          if (key.startsWith(`${model}:`) && payload.grantId === grantId) kept.delete(key)
        return Promise.resolve()
      },
    }
  }
  const ending = /^(?:Grant|RefreshToken|AccessToken|AuthorizationCode|DeviceCode|Session):/
  const endAll = (): void => {
    for (const key of kept.keys()) if (ending.test(key)) kept.delete(key)
  }
  return { adapterFor, endAll }
}
