import { isLoopback } from '../domain/loopback.ts'
import type { IssuerKeys, TrustedIssuer } from '../domain/policy.ts'
import { algorithmsFitting, type PublicJwk } from '../domain/public-jwk.ts'
import { quote } from '../domain/quote.ts'
import type { SigningAlgorithm } from '../domain/signing-algorithm.ts'
import { seconds } from '../domain/time.ts'
import type { IssuerEntry } from './policy-schema.ts'
import type { EntryPlace } from './read-entry.ts'
import { issuerUrlFault, urlFault } from './url-fault.ts'

/** A trusted issuer of what its entry says; faults are reported, and then the result must not be used. */
export function readIssuer(entry: IssuerEntry, place: EntryPlace, brokerIssuer: string): TrustedIssuer {
  if (entry.accepts.length > 0 && entry.tolerated_audiences.length > 0)
    place.report(
      [...place.path, 'accepts'],
      'must not stand beside tolerated_audiences: an access token is for us alone',
    )
  if (entry.accepts.length > 0 && entry.self_issued)
    place.report([...place.path, 'accepts'], 'means nothing for an issuer that signs for itself')
  // T27: the development issuer is on loopback, and lets anybody in.
  if (isAtLoopback(entry.issuer) && !isAtLoopback(brokerIssuer))
    place.report(
      [...place.path, 'issuer'],
      'is on loopback, and this broker is not: trust no development issuer',
    )
  return {
    name: entry.name,
    issuer: entry.issuer,
    selfIssued: entry.self_issued,
    keys: readKeys(entry, place),
    audiences: [...new Set(entry.audiences ?? [brokerIssuer])],
    ...(entry.tolerated_audiences.length === 0 ? {} : { toleratedAudiences: entry.tolerated_audiences }),
    ...(entry.accepts.length === 0 ? {} : { accepts: entry.accepts }),
    algorithms: [...new Set(entry.algorithms)],
    lifetimeMax: seconds(entry.lifetime_seconds_max),
    replay: entry.replay,
  }
}

function isAtLoopback(issuer: string): boolean {
  const url = URL.parse(issuer)
  return url !== null && isLoopback(url.hostname)
}

function readKeys({ issuer, keys, algorithms }: IssuerEntry, { path, report }: EntryPlace): IssuerKeys {
  const { discovery, jwks_uri: jwksUri, jwks, use } = keys
  const given = [discovery, jwksUri, jwks].filter((way) => way !== undefined)
  if (given.length !== 1) report([...path, 'keys'], 'needs exactly one of discovery: true, jwks_uri and jwks')
  if (use !== undefined && jwksUri === undefined)
    report([...path, 'keys', 'use'], 'means nothing without jwks_uri')
  if (jwks !== undefined) {
    checkInlineKeys(jwks.keys, algorithms, { path: [...path, 'keys', 'jwks', 'keys'], report })
    return { from: 'inline', keys: jwks.keys }
  }
  if (jwksUri !== undefined) {
    const fault = urlFault(jwksUri)
    if (fault !== undefined) report([...path, 'keys', 'jwks_uri'], fault)
    return { from: 'jwks_uri', url: jwksUri, ...(use === undefined ? {} : { use }) }
  }
  const fault = issuerUrlFault(issuer)
  if (discovery === true && fault !== undefined)
    report([...path, 'issuer'], `keys are found by discovery, so the issuer ${fault}`)
  // OpenID Connect Discovery 1.0 §4.1: a terminating slash is removed first.
  return { from: 'discovery', url: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` }
}

function checkInlineKeys(
  keys: readonly PublicJwk[],
  algorithms: readonly SigningAlgorithm[],
  { path, report }: EntryPlace,
): void {
  const seen = new Set<string>()
  for (const [index, { kid }] of keys.entries()) {
    if (kid === undefined) continue
    if (seen.has(kid)) report([...path, index, 'kid'], `the kid ${quote(kid)} occurs twice`)
    seen.add(kid)
  }
  if (!keys.some((key) => algorithmsFitting(key).some((fitting) => algorithms.includes(fitting))))
    report(path, `none of these keys can be used with ${algorithms.join(', ')}`)
}
