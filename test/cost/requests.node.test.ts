import { beforeAll, describe, expect, it } from 'vitest'
import { createBrokerWorld, type BrokerWorld, type WorldRequest } from '../support/broker-world.ts'
import { documents } from '../support/cost/documents.ts'
import { createIamWorld, iamHost } from '../support/iam-world.ts'
import { noteMeasure } from '../support/measures.ts'
import { createRandom } from '../support/random.ts'

/** One request of any size may use so much CPU time (docs/security.md). */
const requestMsMax = 10
const administratorMsMax = 200
const bodyChars = 62_000

type Send = () => Promise<Response>

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }
const yaml = { 'content-type': 'application/yaml' }
const random = createRandom(1)
const bodies = documents.map(({ name, make }) => ({ name, text: make(bodyChars, random).slice(0, 65_536) }))

let world: BrokerWorld
beforeAll(async () => {
  world = await createBrokerWorld()
  await world.enrol()
  // What a first request costs is compiling.
  for (let times = 0; times < 20; times += 1) await world.ask()
})

/** The least of some attempts: nothing but garbage collection and compiling makes one dearer than another. */
async function cpuMsOf(send: Send): Promise<number> {
  let least = Infinity
  for (let attempt = 0; attempt < 5 && least > requestMsMax; attempt += 1) {
    const before = process.threadCpuUsage()
    await (await send()).arrayBuffer()
    const { user, system } = process.threadCpuUsage(before)
    least = Math.min(least, (user + system) / 1000)
    if (least > 4 * administratorMsMax) break
  }
  return least
}

async function dearestOf(requests: readonly { readonly name: string; readonly send: Send }[]) {
  const costs: { readonly name: string; readonly ms: number }[] = []
  for (const { name, send } of requests) costs.push({ name, ms: await cpuMsOf(send) })
  return costs.toSorted((one, other) => other.ms - one.ms)
}

const withBodies = (line: string, more: WorldRequest) =>
  bodies.map(({ name, text }) => ({
    name: `${line} with ${name}`,
    send: () => world.call(line, { body: text, ...more }),
  }))
const plain = (name: string, line = name) => ({ name, send: () => world.call(line) })

/** As much of it as a form takes besides the rest of the request: what is escaped there has three characters. */
function fitting(text: string): string {
  let length = text.length
  while (new URLSearchParams({ text: text.slice(0, length) }).toString().length > bodyChars)
    length = Math.floor(length * 0.9)
  return text.slice(0, length)
}

describe('the CPU time of one request', () => {
  it('of a stranger is at most 10 ms, whatever they send', { timeout: 120_000 }, async () => {
    const forged = {
      authorization: `Bearer ${bodies.find(({ name }) => name.includes('a JWS with a wide'))?.text.slice(0, 16_000)}`,
    }
    const costs = await dearestOf([
      ...['/v1/token', '/v1/introspect', '/v1/revoke'].flatMap((path) =>
        withBodies(`POST ${path}`, { headers: form }),
      ),
      ...withBodies('POST /v1/admin/policy:validate', { headers: { ...yaml, ...forged } }),
      ...withBodies('POST /v1/admin/credentials', { headers: json }),
      ...withBodies('POST /v1/admin/policy:explain', { headers: { ...json, ...forged } }),
      ...[
        'GET /openapi.json',
        'GET /healthz',
        'GET /readyz',
        'GET /.well-known/oauth-authorization-server',
        'GET /v1/admin/credentials',
      ].map((line) => plain(line)),
      plain('a long path', `GET /${'a/'.repeat(8_000)}`),
      plain('a path of escapes', `GET /v1/admin/credentials/${'%61'.repeat(4_000)}`),
      plain('a long query', `GET /v1/admin/credentials?${'a=%61&'.repeat(2_000)}`),
    ])
    noteMeasure('most CPU of one unauthenticated request', costs[0]?.ms ?? NaN, 'ms')
    expect(costs.length).toBeGreaterThan(500)
    expect(costs.filter(({ ms }) => ms > requestMsMax)).toEqual([])
  })

  it('of a caller is at most 10 ms too, whatever they ask for', { timeout: 120_000 }, async () => {
    const { call, jwt } = await createIamWorld()
    const asked = (changes: Readonly<Record<string, string>>) => async () =>
      call('POST /v1/token', {
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: await jwt('billing'),
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          audience: 'reports-sa',
          ...changes,
        }),
      })
    const signed = (method: string, member: string, text: string) => async () =>
      call(`POST /v1/projects/-/serviceAccounts/reports-sa@${iamHost}:${method}`, {
        bearer: await jwt('billing'),
        body: { [member]: member === 'scope' ? text.split(/[ ,+]/) : text },
      })
    for (let times = 0; times < 20; times += 1) expect((await asked({})()).status).toBe(200)
    const costs = await dearestOf(
      bodies.flatMap(({ name, text }) => [
        ...['options', 'scope', 'audience'].map((parameter) => ({
          name: `POST /v1/token with ${parameter}: ${name}`,
          send: asked({ [parameter]: fitting(text) }),
        })),
        ...Object.entries({ signJwt: 'payload', generateAccessToken: 'scope' }).map(([method, member]) => ({
          name: `${method} with ${member}: ${name}`,
          send: signed(method, member, text.slice(0, 40_000)),
        })),
      ]),
    )
    noteMeasure('most CPU of one request of a caller', costs[0]?.ms ?? NaN, 'ms')
    expect(costs.length).toBeGreaterThan(400)
    expect(costs.filter(({ ms }) => ms > requestMsMax)).toEqual([])
  })

  it('of an administrator is bounded too', { timeout: 120_000 }, async () => {
    const as = 'ops' as const
    const costs = await dearestOf([
      ...withBodies('POST /v1/admin/policy:explain', { headers: json, as }),
      ...withBodies('POST /v1/admin/credentials', { headers: json, as }),
    ])
    noteMeasure('most CPU of one request of an administrator', costs[0]?.ms ?? NaN, 'ms')
    expect(costs.length).toBeGreaterThan(150)
    expect(costs.filter(({ ms }) => ms > administratorMsMax)).toEqual([])
  })
})
