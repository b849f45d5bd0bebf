import { wait, goTo } from './step-outcome.ts'
import { iamAccount, type TakeStep } from './rotation-deps.ts'

/** docs/google.md §3.2: at the limit Google only says that some precondition failed. */
const keysMax = 10

/** Knows what keys there are before it makes one, and names the cause when there is no room for one. */
export const countKeys: TakeStep = async (deps, { rotation, credential }) => {
  const listed = await deps.iamKeys.list(await iamAccount(deps, credential))
  if (!listed.ok) return wait(listed)
  const ids = listed.value.map(({ id }) => id)
  if (ids.length >= keysMax) {
    const held = new Set(credential.versions.map(({ keyId }) => keyId))
    const strangers = ids.filter((id) => !held.has(id))
    return wait({
      reason:
        `${credential.identity} has ${ids.length} user-managed keys and Google allows ${keysMax}: delete one that ` +
        `nobody uses; this broker does not hold ${strangers.join(', ') || 'any other'}`,
    })
  }
  return goTo(rotation.method === 'create' ? 'create' : 'generate', { knownKeys: ids })
}
