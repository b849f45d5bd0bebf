import { tokenTypes, type TokenType } from '../domain/exchange-request.ts'

/**
 * RFC 8693 §3, and a name of our own for what is no token: `urn:ietf:params:oauth:token-type` is the IETF's to give.
 */
export const tokenTypeUrns: Readonly<Record<TokenType, string>> = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  api_key: 'urn:downscope:params:oauth:token-type:api_key',
}

/** `undefined` for a URN that means nothing here. */
export function tokenTypeOf(urn: string): TokenType | undefined {
  return tokenTypes.find((tokenType) => tokenTypeUrns[tokenType] === urn)
}
