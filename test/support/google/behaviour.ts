import type { GoogleStatus } from './google-errors.ts'
import type { LieName } from './lies.ts'
import type { RefusalName } from './refusals.ts'

/**
 * What the stand-in does instead of answering properly. With `slow`, `reset` in the middle,
 * `truncate`, `lie`, and `hang` when `processed`, Google has done its work first: a rotating
 * refresh token is spent, a token is issued. With the others nothing has happened at Google.
 */
export type Behaviour =
  | { readonly do: 'honest' }
  /** Answers after a delay in real milliseconds; `afterwards` says how, default properly. */
  | { readonly do: 'slow'; readonly delayMs: number; readonly afterwards?: Behaviour }
  /** Never answers; ends when either side closes. */
  | { readonly do: 'hang'; readonly processed?: boolean }
  | {
      readonly do: 'answer'
      readonly status: number
      readonly body: string | Readonly<Record<string, unknown>>
      readonly headers?: Readonly<Record<string, string>>
    }
  /** An entry of the error catalogue. */
  | { readonly do: 'refuse'; readonly as: RefusalName; readonly description?: string }
  /** The nested error object of Google's JSON services. */
  | { readonly do: 'google_error'; readonly status: GoogleStatus; readonly message: string }
  /** 429 or 503; `retryAfter` in seconds or as an HTTP date; absent, no header. */
  | {
      readonly do: 'unavailable'
      readonly status: 429 | 503
      readonly retryAfter?: number | string
    }
  /** Breaks the connection: before any byte of the answer, or after half of it (the default). */
  | { readonly do: 'reset'; readonly when?: 'before_answer' | 'mid_answer' }
  /** Half of the JSON, in a complete HTTP answer. */
  | { readonly do: 'truncate' }
  /** The front end's HTML page; default 502. */
  | { readonly do: 'html'; readonly status?: number }
  /** Streams this many bytes of one JSON string with status 200; default 8 MiB. */
  | { readonly do: 'oversize'; readonly bytes?: number }
  /** Default 307. */
  | { readonly do: 'redirect'; readonly to: string; readonly status?: number }
  /** The proper answer with one thing wrong in it. */
  | { readonly do: 'lie'; readonly as: LieName }
  /** The proper answer with members replaced, or left out where the value is undefined. */
  | { readonly do: 'amend'; readonly members: Readonly<Record<string, unknown>> }

/** Has Google done its work, whatever becomes of the answer? */
export function isProcessed(behaviour: Behaviour): boolean {
  if (behaviour.do === 'slow') return isProcessed(behaviour.afterwards ?? { do: 'honest' })
  if (behaviour.do === 'hang') return behaviour.processed ?? false
  if (behaviour.do === 'reset') return behaviour.when !== 'before_answer'
  return processed.has(behaviour.do)
}

const processed: ReadonlySet<Behaviour['do']> = new Set(['honest', 'truncate', 'lie', 'amend'])
