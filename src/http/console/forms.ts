import { BrokerError } from '../../domain/broker-error.ts'
import { parseForm, type Form, readBody, textOf } from '../parse-form.ts'

/** The hidden field that every form of ours carries. */
export const formTokenField = 'form_token'

/**
 * Throws `admin_forbidden` for a form that comes from another site: before role and fields are looked at, and whatever
 * else it carries. Browsers send `Origin` with every POST; a request without it must not say that it crossed sites.
 */
export function refuseForeignForm({ headers }: Request, issuer: string): void {
  const origin = headers.get('origin')
  const site = headers.get('sec-fetch-site')
  const isForeign =
    origin === null ? site !== null && site !== 'same-origin' : origin !== new URL(issuer).origin
  if (isForeign) throw forged('comes from another site')
}

/** The fields of a form that carries `token`; throws `admin_forbidden` for any other, and for a foreign one. */
export async function ownForm(request: Request, issuer: string, token: string): Promise<Form> {
  refuseForeignForm(request, issuer)
  const form = await readForm(request)
  if (form.get(formTokenField) !== token) throw forged('does not carry the token of this session')
  return form
}

/** Throws `request_malformed` and `request_too_large`. */
export async function readForm(request: Request, bytesMax?: number): Promise<Form> {
  return parseForm({
    contentType: request.headers.get('content-type'),
    text: textOf(await readBody(request, bytesMax)),
  })
}

export function forged(why: string): BrokerError {
  return new BrokerError('admin_forbidden', { reason: `a form ${why}`, condition: 'form' })
}
