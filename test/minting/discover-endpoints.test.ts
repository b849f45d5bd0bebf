import { describe, expect, test } from 'vitest'
import { createDiscoverEndpoints } from '../../src/oauth/resolve-upstream.ts'
import type { HttpClient, HttpResult } from '../../src/ports/http-client.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { failureOf } from '../support/failure-of.ts'

const issuer = 'https://sso.example/realms/shop'
const own = 'https://sso.example/.well-known/oauth-authorization-server/realms/shop'
const openId = 'https://sso.example/realms/shop/.well-known/openid-configuration'
const token = 'https://sso.example/realms/shop/token'

const json = (body: unknown, status = 200): HttpResult => ({
  kind: 'answer',
  status,
  header: () => 'application/json',
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const metadata = (change: object = {}) => json({ issuer, token_endpoint: token, ...change })
const outage: HttpResult = { kind: 'failure', cause: 'timeout', detail: 'no answer' }

function createWorld(pages: Record<string, HttpResult>, sharesWork = true) {
  const clock = createFakeClock()
  const asked: string[] = []
  const http: HttpClient = async ({ url }) => {
    asked.push(url)
    return pages[url] ?? json('not found', 404)
  }
  const endpoints = createDiscoverEndpoints({ http, clock, sharesWork })
  const discover = async (wanted: string) => (await endpoints(wanted)).tokenEndpoint
  return { clock, asked, pages, endpoints, discover }
}

describe('discovery', () => {
  test('reads the metadata of RFC 8414, whose well-known part comes before the path', async () => {
    const { discover, asked } = createWorld({ [own]: metadata() })
    expect(await discover(issuer)).toBe(token)
    expect(asked).toEqual([own])
  })

  test('reads OpenID Connect’s where that one is not there', async () => {
    const { discover, asked } = createWorld({ [openId]: metadata() })
    expect(await discover(issuer)).toBe(token)
    expect(asked).toEqual([own, openId])
  })

  test('of an issuer without a path keeps no slash', async () => {
    const bare = 'https://sso.example/'
    const world = createWorld({
      'https://sso.example/.well-known/oauth-authorization-server': metadata({ issuer: bare }),
    })
    expect(await world.discover(bare)).toBe(token)
  })

  test.each([
    ['is of another issuer', { issuer: 'https://sso.example/realms/other' }, 'another "issuer"'],
    ['differs by a slash', { issuer: `${issuer}/` }, 'another "issuer"'],
    ['has no token endpoint', { token_endpoint: undefined }, 'no "token_endpoint"'],
    ['has none that is text', { token_endpoint: [token] }, 'no "token_endpoint"'],
    ['has one that is no URL', { token_endpoint: '/token' }, 'no plain URL'],
    ['has one with a password', { token_endpoint: 'https://a:b@sso.example/token' }, 'no plain URL'],
  ])('P29: refuses metadata that %s', async (_, change, fault) => {
    const refused = await failureOf(createWorld({ [own]: metadata(change) }).discover(issuer))
    expect([refused.code, refused.reason.includes(fault)]).toEqual(['upstream_nonsense', true])
  })

  test.each([
    'https://evil.example/token',
    'http://sso.example/token',
    'https://sso.example:8443/token',
    'https://169.254.169.254/computeMetadata/v1/',
    'http://127.0.0.1/token',
  ])('P29: sends no secret to %s, whatever the metadata says', async (endpoint) => {
    const refused = await failureOf(
      createWorld({ [own]: metadata({ token_endpoint: endpoint }) }).discover(issuer),
    )
    expect([refused.code, refused.reason.includes('on another host')]).toEqual(['upstream_nonsense', true])
  })

  test('finds where to revoke, on the issuer’s own host and nowhere else', async () => {
    const there = 'https://sso.example/realms/shop/revoke'
    const naming = (url: unknown) =>
      createWorld({ [own]: metadata({ revocation_endpoint: url }) }).endpoints(issuer)
    const rest = { tokenEndpoint: token, announcesIssuer: false, hasOfflineAccess: false }
    expect(await naming(there)).toEqual({ ...rest, revocationEndpoint: there })
    for (const url of ['https://evil.example/revoke', 'http://sso.example/revoke', '/revoke', 7])
      expect(await naming(url)).toEqual(rest)
  })

  test.each([
    ['nothing', json('', 200)],
    ['no object', json('[]', 200)],
    ['a page', json('<html>', 200)],
  ])('is refused when it is %s', async (_, page) => {
    expect((await failureOf(createWorld({ [own]: page }).discover(issuer))).code).toBe('upstream_nonsense')
  })

  test('is kept for an hour, and for a day while the issuer is down', async () => {
    const { discover, asked, pages, clock } = createWorld({ [own]: metadata() })
    await discover(issuer)
    await clock.advance(3_590_000)
    await discover(issuer)
    expect(asked).toHaveLength(1)
    pages[own] = outage
    await clock.advance(3_600_000)
    expect(await discover(issuer)).toBe(token)
    expect(asked).toHaveLength(2)
    await clock.advance(80_000_000)
    const gone = await failureOf(discover(issuer))
    expect([gone.code, gone.retryAfter]).toEqual(['upstream_unavailable', 30])
  })

  test('P21: of an issuer that fails is tried once in 30 s, and recovers by itself', async () => {
    const { discover, asked, pages, clock } = createWorld({ [own]: outage })
    for (let time = 0; time < 50; time += 1) await failureOf(discover(issuer))
    expect(asked).toHaveLength(1)
    pages[own] = metadata()
    await clock.advance(31_000)
    expect(await discover(issuer)).toBe(token)
  })

  test('is asked once by many at once, and by each on its own where requests must not share work', async () => {
    const shared = createWorld({ [own]: metadata() })
    await Promise.all(Array.from({ length: 20 }, () => shared.discover(issuer)))
    expect(shared.asked).toHaveLength(1)
    const alone = createWorld({ [own]: metadata() }, false)
    await Promise.all(Array.from({ length: 3 }, () => alone.discover(issuer)))
    expect(alone.asked).toHaveLength(3)
  })
})
