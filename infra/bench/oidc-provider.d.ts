// The package brings no types; this is what the development issuer, the bench and the tests use of it.
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

  export interface Context {
    readonly path: string
    readonly req: { readonly socket: { destroy(): void } }
    status: number
    body: unknown
  }

  export interface Token {
    save(): Promise<string>
  }

  export interface Grant extends Token {
    addOIDCScope(scope: string): void
    rejectOIDCScope(scope: string): void
    addOIDCClaims(claims: readonly string[]): void
  }

  export interface Interaction {
    readonly uid: string
    readonly prompt: {
      readonly name: string
      readonly details: {
        readonly missingOIDCScope?: readonly string[]
        readonly missingOIDCClaims?: readonly string[]
      }
    }
    readonly params: Readonly<Record<string, unknown>>
    readonly session?: { readonly accountId: string }
  }

  export interface IssuedToken {
    readonly scope?: string
  }

  export default class Provider {
    constructor(issuer: string, configuration: object)
    listen(port: number, hostname: string): unknown
    callback(): RequestListener
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: object,
      options?: { readonly mergeWithLastSubmission: boolean },
    ): Promise<void>
    readonly Client: { find(id: string): Promise<object | undefined> }
    readonly Grant: new (members: object) => Grant
    readonly RefreshToken: new (members: object) => Token
    readonly AccessToken: { find(value: string): Promise<IssuedToken | undefined> }
    readonly ClientCredentials: { find(value: string): Promise<IssuedToken | undefined> }
  }
}
