import { createLoadJwks } from '../authentication/jwks.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { Policy, TrustedIssuer } from '../domain/policy.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createDiscoverEndpoints } from '../oauth/resolve-upstream.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient } from '../ports/http-client.ts'

interface Outside {
  readonly http: HttpClient
  readonly clock: Clock
}

/** The servers that a policy names: whether the broker can read the keys of each issuer and reach each upstream. */
export async function examinePolicyServers(
  { issuers, upstreams }: Policy,
  outside: Outside,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const issuer of issuers) findings.push(...(await examineIssuer(issuer, outside)))
  for (const upstream of upstreams) findings.push(...(await examineUpstream(upstream, outside)))
  return findings
}

async function examineIssuer(
  { name, issuer, keys, algorithms }: TrustedIssuer,
  { http }: Outside,
): Promise<readonly Finding[]> {
  if (keys.from === 'inline') return []
  const said: string[] = []
  let date: string | undefined
  const load = createLoadJwks({
    http: async (request) => {
      const result = await http(request)
      if (result.kind === 'answer') date = result.header('date')
      return result
    },
    log: (_level, message, fields) =>
      void said.push([message, fields?.['reason'] ?? fields?.['reasons']].map(String).join(': ')),
  })
  const published = await load({ ...keys, issuer }, undefined)
  const what = `issuer ${name}`
  if (published === undefined)
    return [
      {
        what,
        verdict: 'bad',
        says: said.join('; '),
        fix: ['May this machine reach it, and does "issuer" stand in its metadata exactly so?'],
      },
    ]
  const usable = published.set.keys.filter((key) => key.algorithms.some((one) => algorithms.includes(one)))
  if (usable.length === 0)
    return [
      {
        what,
        verdict: 'bad',
        says: [`none of its ${published.set.keys.length} keys is for ${algorithms.join(', ')}`, ...said].join(
          '; ',
        ),
        fix: ['Name its algorithms in the entry, or the use of its keys (use: jwt-svid).'],
      },
    ]
  const found = [...new Set(usable.flatMap((key) => key.algorithms))].filter((one) =>
    algorithms.includes(one),
  )
  return [
    { what, verdict: 'good', says: `${usable.length} usable keys, for ${found.join(', ')}` },
    ...said.map((says): Finding => ({ what, verdict: 'odd', says })),
    judgeClock(date, name),
  ]
}

async function examineUpstream(upstream: Upstream, { http, clock }: Outside): Promise<readonly Finding[]> {
  const { name, endpoints, clientAuthentication: way } = upstream
  const what = `upstream ${name}`
  const methods: string[] = []
  try {
    const url =
      endpoints.from === 'policy'
        ? endpoints.token
        : (
            await createDiscoverEndpoints({ http: noting(http, methods), clock, sharesWork: true })(
              endpoints.issuer,
            )
          ).tokenEndpoint
    // Whatever it says to a GET, it is there.
    const result = await http({ method: 'GET', url, timeoutMs: 5_000, maxBytes: 1_048_576 })
    if (result.kind === 'failure')
      return [{ what, verdict: 'bad', says: `its token endpoint: ${result.detail}`, fix: [reach] }]
    const { host } = new URL(url)
    const isTaken = methods.length === 0 || methods.includes(way)
    return [
      isTaken
        ? { what, verdict: 'good', says: `its token endpoint answers at ${host}` }
        : {
            what,
            verdict: 'bad',
            says: `it takes ${methods.join(', ')}, and the entry says client_auth: ${way}`,
            fix: ['Say one of these in client_auth, and enrol its credentials again.'],
          },
      judgeClock(result.header('date'), name),
    ]
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return [{ what, verdict: 'bad', says: error.reason, fix: [reach] }]
  }
}

const reach = 'May this machine reach it, and is its entry in "upstreams" right?'

/** Remembers how clients may prove themselves there, as its metadata says (RFC 8414 §2). */
function noting(http: HttpClient, methods: string[]): HttpClient {
  return async (request) => {
    const result = await http(request)
    if (result.kind === 'answer' && result.status === 200) {
      const found = /"token_endpoint_auth_methods_supported"\s*:\s*\[([^\]]*)\]/.exec(result.body)?.[1] ?? ''
      methods.push(...[...found.matchAll(/"([\w-]+)"/g)].map(([, method]) => method ?? ''))
    }
    return result
  }
}

/** One thing that was looked at. */
export interface Finding {
  /** In one or two words. */
  readonly what: string
  /** `odd`: it works, and somebody should look; `unknown`: it could not be looked at. */
  readonly verdict: 'good' | 'odd' | 'bad' | 'unknown'
  readonly says: string
  /** How to fix it. */
  readonly fix?: readonly string[]
}

/** A credential that its upstream refuses. */
export function brokenFinding({
  name,
  health,
}: {
  readonly name: string
  readonly health: { readonly reason?: string | undefined }
}): Finding {
  return {
    what: 'credentials',
    verdict: 'bad',
    says: `${name} is broken: ${health.reason ?? 'the upstream refuses it'}`,
    fix: [`downscope credentials show ${name}, then rotate it`],
  }
}

/** JWTs may be off by 60 s at most, and 10 s into the future (P5). */
const clockSecondsMax = 10

/** By a `Date` header of somebody who should know. */
export function judgeClock(date: string | undefined, whose: string): Finding {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs))
    return { what: 'clock', verdict: 'unknown', says: `${whose} does not say what time it is` }
  const seconds = Math.round((Date.now() - theirs) / 1000)
  if (Math.abs(seconds) <= clockSecondsMax)
    return { what: 'clock', verdict: 'good', says: `as that of ${whose}, within ${clockSecondsMax} s` }
  const says = `${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} that of ${whose}: JWTs are refused beyond 60 s`
  return { what: 'clock', verdict: 'bad', says, fix: ['Let NTP set the clock of this machine.'] }
}
