import { sharedAudienceFault } from '../../src/authentication/judge-claims.ts'
import { expect } from 'vitest'
import { createAuthorize, type AuthorizeDeps } from '../../src/authorization/authorize.ts'
import type { CompiledPolicy } from '../../src/policy/compile-policy.ts'
import { createExplain } from '../../src/authorization/explain.ts'
import { inForce } from '../../src/domain/blocks.ts'
import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { callerOf, credentialWith, policyOf, ruleWith } from './policies.ts'

/** Who asks for what, and what there is; what is left out is a rule that gives the caller what it asks for. */
export interface Situation {
  readonly rules?: readonly object[]
  readonly credential?: CredentialSummary | 'none'
  readonly upstreams?: readonly object[]
  /** Enrolled beside it. */
  readonly others?: readonly CredentialSummary[]
  readonly caller?: Caller
  readonly request?: Partial<ExchangeRequest>
}

const nothingBlocked = () => inForce({ callers: [], tokens: [] })

const defaultRequest = { target: 'reports', scopes: [], tokenType: 'access_token' } as const

/** Rejects where it is refused. */
export function ask(situation: Situation): Promise<Grant> {
  return askOf(depsOf(situation), situation)
}

/** The names of the credentials that were looked up on the way, whatever came of it. */
export async function lookUpsOf(situation: Situation): Promise<readonly string[]> {
  const deps = depsOf(situation)
  const names: string[] = []
  const findCredential: AuthorizeDeps['findCredential'] = (name) => {
    names.push(name)
    return deps.findCredential(name)
  }
  await askOf({ ...deps, findCredential }, situation).catch((error: unknown) => {
    if (!isBrokerError(error)) throw error
  })
  return names
}

/** A refusal, which is explained as well: by the same code and reason, and with its condition. */
export async function refusal(situation: Situation): Promise<BrokerError> {
  const outcome = await ask(situation).catch((error: unknown) => error)
  if (!isBrokerError(outcome)) throw new Error('expected a refusal', { cause: outcome })
  const { caller = callerOf('exporter'), request } = situation
  if (caller.issuer === callerOf('exporter').issuer) {
    const { code, reason, condition } = outcome
    const question = {
      issuer: caller.issuer,
      claims: { ...caller.claims, sub: caller.subject },
      ...defaultRequest,
      ...request,
    }
    expect(
      await createExplain({
        ...depsOf(situation),
        blocks: nothingBlocked,
        sharedAudienceFault,
      })(question),
    ).toMatchObject({
      outcome: 'refused',
      error: code,
      reason,
      condition,
    })
    expect(condition).toMatch(/./)
  }
  return outcome
}

function depsOf({
  rules = [ruleWith()],
  credential = credentialWith(),
  upstreams = [],
  others = [],
}: Situation): AuthorizeDeps {
  const policy: CompiledPolicy = policyOf(rules, [], upstreams)
  return {
    policy: () => Promise.resolve(policy),
    findCredential: (name) => {
      const enrolled = credential === 'none' ? others : [credential, ...others]
      return Promise.resolve(enrolled.find((summary) => summary.name === name))
    },
    findNothing: () => undefined,
    brokerIssuer: 'https://tokens.acme.example',
  }
}

async function askOf(
  deps: AuthorizeDeps,
  { caller = callerOf('exporter'), request }: Situation,
): Promise<Grant> {
  return createAuthorize(deps)(caller, {
    proof: { form: 'subject_token', assertion: new Secret('x') },
    ...defaultRequest,
    ...request,
  })
}
