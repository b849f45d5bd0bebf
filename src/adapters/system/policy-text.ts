import type { PolicySource } from '../../ports/policy-source.ts'

/** A policy that is what it is until the next start. */
export function createTextPolicySource(text: string, origin: string): PolicySource {
  const revision = 'fixed'
  return {
    read: (known) => Promise.resolve(known === revision ? undefined : { text, revision, origin }),
  }
}
