import type { Entropy } from '../ports/entropy.ts'
import type { FormMessage } from './parse-form.ts'
import { readBody, textOf } from './read-body.ts'
import type { Refuse } from './refuse.ts'

export interface FormRouteDeps {
  readonly entropy: Entropy
  readonly refuse: Refuse
}

/** What is done with a form, and how the result is shown: two steps, so that the hot path needs no third promise. */
export interface FormRoute<Result> {
  /**
   * `read` throws what the body fails at. It is called where that is judged: the corridor leaves a record of such a
   * decision too (P27).
   */
  readonly perform: (read: () => FormMessage, requestId: string) => Promise<Result>
  readonly answer: (result: Result, requestId: string) => Response
}

/** Serves what a form is posted to, whatever happens: one body read, one answer. */
export function createFormRoute<Result>(
  { entropy, refuse }: FormRouteDeps,
  { perform, answer }: FormRoute<Result>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const requestId = entropy.uuid()
    try {
      const body = await readBody(request)
      const contentType = request.headers.get('content-type')
      const read = () => ({ contentType, text: textOf(body) })
      return answer(await perform(read, requestId), requestId)
    } catch (error) {
      return refuse(error, requestId, request)
    }
  }
}
