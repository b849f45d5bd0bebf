import type { Context } from 'hono'

import type { AdminContext, Administer } from '../administer.ts'
import type { Entropy } from '../ports/entropy.ts'
import { parseBearer } from './parse-admin-request.ts'
import type { Refuse } from './refuse.ts'

/** One route of the admin API: what the corridor is told, and how the result is shown. */
export interface Action<T> extends Omit<AdminContext<T>, 'requestId' | 'bearer'> {
  readonly render: (result: T, requestId: string) => Response
}

/** Walks an admin request through the corridor and answers it, whatever happens. */
export type Act = <T>(context: Context, action: Action<T>) => Promise<Response>

export interface ActDeps {
  readonly administer: Administer
  readonly entropy: Entropy
  readonly refuse: Refuse
}

export function createAct({ administer, entropy, refuse }: ActDeps): Act {
  return async (context, { render, ...action }) => {
    const request = context.req.raw
    const requestId = entropy.uuid()
    try {
      const bearer = parseBearer(request.headers.get('authorization'))
      return render(await administer({ ...action, requestId, bearer }), requestId)
    } catch (error) {
      return refuse(error, requestId, request)
    }
  }
}
