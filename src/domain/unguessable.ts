/** 64 hex digits with 244 random bits: a state, a nonce, a PKCE verifier (RFC 7636 §4.1), the secret part of a link. */
export function unguessable({ uuid }: { readonly uuid: () => string }): string {
  return `${uuid()}${uuid()}`.replaceAll('-', '')
}
