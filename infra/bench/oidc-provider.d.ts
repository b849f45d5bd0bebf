// The package brings no types; this is what the bench uses of it.
declare module 'oidc-provider' {
  export default class Provider {
    constructor(issuer: string, configuration: object)
    listen(port: number, hostname: string): unknown
  }
}
