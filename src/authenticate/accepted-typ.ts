import type { Proof } from '../domain/exchange-request.ts'

/**
 * Whether a JWT of that `typ` may prove identity in that form: untyped, `JWT` or `JOSE` (as SPIFFE may type its
 * JWT-SVIDs), and a client assertion also when it says that it is one; every other kind of token was made for somebody else (P8).
 * Source: RFC 7515 §4.1.9 (media types, case-insensitive), RFC 8725 §3.11, rfc7523bis §4 (`client-authentication+jwt`).
 */
export function isAcceptedTyp(typ: string | undefined, form: Proof['form']): boolean {
  if (typ === undefined || typ === 'JWT') return true
  const kind = kindOf(typ)
  return (
    kind === 'jwt' || kind === 'jose' || (kind === 'client-authentication+jwt' && form === 'client_assertion')
  )
}

/** RFC 9068 §2.1. */
export function isAccessTokenTyp(typ: string | undefined): boolean {
  return kindOf(typ ?? '') === 'at+jwt'
}

function kindOf(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
