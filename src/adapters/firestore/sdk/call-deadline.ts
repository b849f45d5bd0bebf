import { AsyncLocalStorage } from 'node:async_hooks'

import { firestoreError } from '../status.ts'
import { withoutResend, type GrpcCall } from './without-resend.ts'

export interface CallDeadlines {
  /** Settles within `ms`, and what `work` began on the wire ends by then too. Nested, the earlier end counts. */
  readonly within: <T>(ms: number, work: () => Promise<T>) => Promise<T>
  /** For the client's setting `grpc.callInvocationTransformer`, which sees every attempt of every call. */
  readonly transformCall: (call: GrpcCall) => GrpcCall
}

/** Deadlines that reach into the SDK, which allows a call 60 s and its repetitions ten minutes, and takes no other. */
export function createCallDeadlines(): CallDeadlines {
  const ends = new AsyncLocalStorage<number>()
  return {
    within: (ms, work) => {
      const end = Math.min(performance.now() + ms, ends.getStore() ?? Infinity)
      return settleBy(end, ends.run(end, work))
    },
    transformCall: (call) => {
      const end = ends.getStore()
      const once = withoutResend(call)
      if (end === undefined) return once
      // gRPC's deadline is of the wall clock and ours is not: each attempt converts what is left of it.
      const deadline = Date.now() + (end - performance.now())
      return { ...once, callOptions: { ...once.callOptions, deadline } }
    },
  }
}

/** For what happens outside gRPC: loading the SDK, credentials. */
async function settleBy<T>(end: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(firestoreError('DEADLINE_EXCEEDED', undefined)), end - performance.now())
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
