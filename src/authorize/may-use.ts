import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import { quote } from '../domain/quote.ts'
import type { CompiledPolicy } from './compile-policy.ts'
import type { CurrentBlocks } from './heed-blocks.ts'

/** Throws `target_unavailable` unless some rule gives this caller the credential and nobody blocked him. */
export function createMayUse(deps: {
  readonly policy: () => Promise<CompiledPolicy>
  readonly blocks: CurrentBlocks
}): (caller: Caller, credential: string) => Promise<void> {
  return async (caller, credential) => {
    const { subject, issuer } = caller
    if ((await deps.blocks()).blocked(caller) !== undefined)
      throw unavailable(`${quote(subject)} of ${quote(issuer)} is blocked`)
    if ((await deps.policy()).findRule(caller, credential) === undefined)
      throw unavailable(`no rule gives ${quote(credential)} to ${quote(subject)} of ${quote(issuer)}`)
  }
}

function unavailable(reason: string): BrokerError {
  return new BrokerError('target_unavailable', { reason })
}
