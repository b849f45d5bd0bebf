import { BrokerError } from '../domain/broker-error.ts'
import type { Explanation, ExplainQuestion, Refusal } from '../domain/explanation.ts'
import type { Refusals } from '../records/refusals.ts'

/** What is to be explained: a question, or a request that was refused some days ago at most. */
export type Explainable = { readonly question: ExplainQuestion } | { readonly requestId: string }

/** What would be decided now, and of a refusal what was decided then. */
export interface ExplainedRequest {
  readonly explanation: Explanation
  readonly refused?: Refusal
}

export interface ExplainRequestDeps {
  readonly explain: (question: ExplainQuestion) => Promise<Explanation>
  readonly refusals: Pick<Refusals, 'find'>
}

/** Throws `not_found` for a request id of which nothing is known, and what `explain` throws. */
export function createExplainRequest({
  explain,
  refusals,
}: ExplainRequestDeps): (asked: Explainable) => Promise<ExplainedRequest> {
  /** Of what asked for no token there is nothing to decide again. */
  const explainedNow = async ({ action, question, error, reason }: Refusal): Promise<Explanation> => {
    if (action === undefined) return explain(question)
    const { issuer, claims } = question
    return {
      outcome: 'refused',
      ...(error === 'bug' ? {} : { error }),
      reason: `${action}: ${reason}`,
      caller: { issuer, subject: typeof claims['sub'] === 'string' ? claims['sub'] : '' },
      rules: [],
      hints: [],
    }
  }

  return async (asked) => {
    if ('question' in asked) return { explanation: await explain(asked.question) }
    const refused = await refusals.find(asked.requestId)
    if (refused === undefined)
      throw new BrokerError('not_found', {
        reason: `nothing is known of the request ${asked.requestId}`,
        publicDetail:
          'nothing is kept under this request id: it is older than a week, was refused before its caller was known, was one of too many in its minute, or got its token',
      })
    return { explanation: await explainedNow(refused), refused }
  }
}
