import { AuthClient } from 'google-auth-library'
import { createTokenSource, type TokenSource, type TokenSourceOptions } from './token-source.ts'

/** Google's client libraries for Node take it wherever they take an `authClient`. Tokens are those of a token source. */
export class DownscopeAuthClient extends AuthClient {
  readonly #source: TokenSource

  constructor(options: TokenSourceOptions | { readonly source: TokenSource }) {
    super()
    this.#source = 'source' in options ? options.source : createTokenSource(options)
  }

  /** Throws a TokenError. */
  async getAccessToken(): Promise<{ token: string }> {
    const { token, expiresAt } = await this.#source.getToken()
    this.credentials = { access_token: token, expiry_date: expiresAt, token_type: 'Bearer' }
    return { token }
  }

  /** Of an ID token, for whoever asks by `getIdTokenClient`. Throws a TokenError. */
  async fetchIdToken(targetAudience: string): Promise<string> {
    return (await this.#source.getIdToken(targetAudience)).token
  }

  async getRequestHeaders(): Promise<Headers> {
    const { token } = await this.getAccessToken()
    return this.addSharedMetadataHeaders(new Headers({ authorization: `Bearer ${token}` }))
  }

  /** One request with a token of ours. A token that is refused is not asked for again: the broker knows what it gave. */
  async request<T>(
    options: Parameters<AuthClient['request']>[0],
  ): ReturnType<typeof AuthClient.prototype.request<T>> {
    const headers = new Headers(options.headers)
    const { token } = await this.getAccessToken()
    headers.set('authorization', `Bearer ${token}`)
    return this.transporter.request<T>({ ...options, headers: this.addSharedMetadataHeaders(headers) })
  }
}
