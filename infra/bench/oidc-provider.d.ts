// The package brings no types; this is what the bench and the tests use of it.
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

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
  }

  export interface IssuedToken {
    readonly scope?: string
  }

  export default class Provider {
    constructor(issuer: string, configuration: object)
    listen(port: number, hostname: string): unknown
    callback(): RequestListener
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void
    readonly Client: { find(id: string): Promise<object | undefined> }
    readonly Grant: new (members: object) => Grant
    readonly RefreshToken: new (members: object) => Token
    readonly AccessToken: { find(value: string): Promise<IssuedToken | undefined> }
    readonly ClientCredentials: { find(value: string): Promise<IssuedToken | undefined> }
  }
}
