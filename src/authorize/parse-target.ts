import { credentialName } from '../domain/credential.ts'

/**
 * The credential that an `audience` names: `NAME`, `//HOST/credentials/NAME` or `ISSUER/credentials/NAME`, where
 * host and issuer are this broker's, compared octet by octet. `undefined` for everything else.
 */
export function createParseTarget(brokerIssuer: string): (target: string) => string | undefined {
  const prefixes = [
    `//${new URL(brokerIssuer).host}/credentials/`,
    `${brokerIssuer.replace(/\/$/, '')}/credentials/`,
  ]
  return (target) => {
    const prefix = prefixes.find((candidate) => target.startsWith(candidate)) ?? ''
    const name = target.slice(prefix.length)
    return credentialName.test(name) ? name : undefined
  }
}
