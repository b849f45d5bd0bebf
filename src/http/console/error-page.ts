import { html } from 'hono/html'
import { isBrokerError, type BrokerErrorCode } from '../../domain/broker-error.ts'
import type { Log } from '../../ports/log.ts'
import { answers } from '../answers.ts'
import { locateBug } from '../refuse.ts'
import { layout } from './layout.ts'
import { pageAnswer } from './page-answer.ts'

/** Turns whatever was thrown while a page was made into a page that says what happened and what to do. */
export type RefusePage = (error: unknown, requestId: string) => Promise<Response>

interface Words {
  readonly title: string
  readonly text: string
}

const down: Words = {
  title: 'Not available now',
  text: 'Something that this page needs does not answer. Try again in a minute.',
}

const words: Partial<Readonly<Record<BrokerErrorCode, Words>>> = {
  upstream_unavailable: {
    title: 'The other side does not answer',
    text: 'The server that this page leads to does not answer. Nothing was changed: try again in a minute.',
  },
  store_unavailable: down,
  key_ring_unavailable: down,
  policy_unavailable: down,
  audit_unavailable: {
    title: 'Not recorded',
    text: 'What was done could not be recorded, so its result is not shown. Try again in a minute.',
  },
  admin_unauthenticated: {
    title: 'Signing in did not work',
    text: 'The answer of the issuer is not valid. Sign in again; if it happens again, tell your administrator the request below.',
  },
  admin_forbidden: {
    title: 'Refused',
    text: 'This may not be done: your role does not allow it, or the form does not come from this page. Go back, reload the page and try again.',
  },
  not_found: { title: 'There is nothing here', text: 'The address is wrong, or what was here is gone.' },
  request_malformed: { title: 'The request is malformed', text: 'Go back, reload the page and try again.' },
  request_too_large: {
    title: 'Too much text',
    text: 'A form may have 64 KiB. Shorten it and send it again.',
  },
}

export function createRefusePage(deps: { readonly log: Log; readonly base: string }): RefusePage {
  return async (error, requestId) => {
    const isPlanned = isBrokerError(error)
    if (!isPlanned) deps.log('error', 'a bug answered 500', { requestId, ...locateBug(error) })
    else deps.log('info', 'a page was refused', { requestId, error: error.code, reason: error.reason })
    const status = isPlanned ? answers[error.code].status : 500
    const { title, text } = (isPlanned ? words[error.code] : undefined) ?? {
      title: 'Something went wrong',
      text: 'Nothing more is known here. The log of the broker says more about the request below.',
    }
    const retryAfter = status === 503 ? { 'Retry-After': '60' } : {}
    return pageAnswer(
      layout({
        title,
        base: deps.base,
        main: html`<p class="alert" role="alert">${text}</p>`,
        isConsole: false,
        requestId,
      }),
      { status, requestId, headers: retryAfter },
    )
  }
}
