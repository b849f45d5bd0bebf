import { beforeAll, describe, expect, test } from 'vitest'
import { examinePolicyServers } from '../../src/cli/examine-policy-servers.ts'
import type { IssuerKeys, Policy } from '../../src/domain/policy.ts'
import { trustedIssuer } from '../support/authenticate-world.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { answer, createRoutedHttp, failure } from '../support/routed-http.ts'
import { createSigner, type Signer } from '../support/signer.ts'
import { upstreamsOf } from '../support/upstreams.ts'

const site = 'https://sso.example'
const keys: IssuerKeys = { from: 'jwks_uri', url: `${site}/keys` }
const metadata = `${site}/.well-known/oauth-authorization-server`
const upstream = { name: 'sso', issuer: site, discovery: true, client_auth: 'private_key_jwt' }

describe('doctor looks at the servers that the policy names', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })

  const examine = async (
    routes: Readonly<Record<string, () => ReturnType<typeof answer>>>,
    policy: object,
  ) => {
    const routed = createRoutedHttp()
    for (const [url, reply] of Object.entries(routes)) routed.route(url, reply)
    const whole = { issuers: [], upstreams: [], rules: [], admins: [], ...policy } as unknown as Policy
    const findings = await examinePolicyServers(whole, { http: routed.http, clock: createFakeClock() })
    return findings
      .filter(({ what }) => what !== 'clock')
      .map(({ what, verdict, says, fix = [] }) => [`${what} ${verdict} ${says}`, ...fix].join(' -> '))
  }
  const issuers = () => [trustedIssuer([signer], { name: 'sso', issuer: site, keys })]

  test('an issuer whose keys can be read is good, and says how many and for what', async () => {
    const found = await examine(
      { [`${site}/keys`]: () => answer({ keys: [signer.jwk] }) },
      { issuers: issuers() },
    )
    expect(found).toEqual(['issuer sso good 1 usable keys, for ES256'])
  })

  test('one whose keys cannot be read, or are for something else, is bad with its reason', async () => {
    const down = await examine({ [`${site}/keys`]: () => failure('network') }, { issuers: issuers() })
    expect(down[0]).toMatch(/^issuer sso bad .*network/)
    const other = { keys: [{ ...signer.jwk, use: 'jwt-svid' }] }
    const found = await examine({ [`${site}/keys`]: () => answer(other) }, { issuers: issuers() })
    expect(found[0]).toMatch(/^issuer sso bad none of its 0 keys.*jwt-svid/)
  })

  test('an upstream that takes another way to prove a client is bad; one that takes this is good', async () => {
    const at = (methods: readonly string[]) => ({
      [metadata]: () =>
        answer({
          issuer: site,
          token_endpoint: `${site}/token`,
          token_endpoint_auth_methods_supported: methods,
        }),
      [`${site}/token`]: () => answer({}, 405),
    })
    const policy = { upstreams: upstreamsOf(upstream) }
    expect(await examine(at(['private_key_jwt']), policy)).toEqual([
      'upstream sso good its token endpoint answers at sso.example',
    ])
    expect((await examine(at(['client_secret_basic']), policy))[0]).toMatch(
      /^upstream sso bad it takes client_secret_basic, .* -> Say one of these in client_auth, and enrol/,
    )
    expect((await examine({ [metadata]: () => failure('timeout') }, policy))[0]).toMatch(
      /^upstream sso bad .* -> .*"upstreams"/,
    )
  })
})
