import { beforeAll, describe, expect, test } from 'vitest'
import { sendRaw, startTestAgent, tokenPath, type AgentUnderTest } from '../support/agent-under-test.ts'
import { startFakeBroker, type FakeBroker } from '../support/fake-broker.ts'

/** Promise P33: what no client of a metadata server sends gets no token, and causes no request to the broker. */
let broker: FakeBroker
let agent: AgentUnderTest

beforeAll(async () => {
  broker = await startFakeBroker()
  agent = await startTestAgent(broker.url)
  return async () => {
    agent.close()
    await broker.close()
  }
})

const flavour = 'Metadata-Flavor: Google'
const host = (): string => `Host: 127.0.0.1:${agent.port}`

function get(target: string, headers: readonly string[] = [host(), flavour]): string {
  return `GET ${target} HTTP/1.1\r\n${[...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`
}

const hostile: readonly (readonly [name: string, octets: () => string])[] = [
  ['no header', () => get(tokenPath, [host()])],
  ['another flavour', () => get(tokenPath, [host(), 'Metadata-Flavor: google'])],
  ['an empty flavour', () => get(tokenPath, [host(), 'Metadata-Flavor:'])],
  ['the flavour twice', () => get(tokenPath, [host(), flavour, flavour])],
  ['forwarded', () => get(tokenPath, [host(), flavour, 'X-Forwarded-For: 10.0.0.1'])],
  ['forwarded, empty', () => get(tokenPath, [host(), flavour, 'X-Forwarded-For:'])],
  ['forwarded, in lower case', () => get(tokenPath, [host(), flavour, 'x-forwarded-for: ::1'])],
  ['forwarded, by the standard', () => get(tokenPath, [host(), flavour, 'Forwarded: for=10.0.0.1'])],
  ['forwarded for a host', () => get(tokenPath, [host(), flavour, 'X-Forwarded-Host: a.example'])],
  ['by a proxy', () => get(tokenPath, [host(), flavour, 'Via: 1.1 proxy'])],
  ['DNS rebinding', () => get(tokenPath, ['Host: evil.example', flavour])],
  ['DNS rebinding with our port', () => get(tokenPath, [`Host: evil.example:${agent.port}`, flavour])],
  ['a Host that begins like ours', () => get(tokenPath, ['Host: 127.0.0.1.evil.example', flavour])],
  ['the real metadata server', () => get(tokenPath, ['Host: metadata.google.internal', flavour])],
  ['our Host with another port', () => get(tokenPath, ['Host: 127.0.0.1:1', flavour])],
  ['two Hosts', () => get(tokenPath, [host(), 'Host: evil.example', flavour])],
  ['no Host', () => get(tokenPath, [flavour])],
  ['an Origin', () => get(tokenPath, [host(), flavour, 'Origin: https://evil.example'])],
  ['the Origin null', () => get(tokenPath, [host(), flavour, 'Origin: null'])],
  ['from another site', () => get(tokenPath, [host(), flavour, 'Sec-Fetch-Site: cross-site'])],
  ['from the same site', () => get(tokenPath, [host(), flavour, 'Sec-Fetch-Site: same-origin'])],
  ['HTTP/1.0', () => get(tokenPath).replace('HTTP/1.1', 'HTTP/1.0')],
  ['HTTP/0.9', () => `GET ${tokenPath}\r\n\r\n`],
  ['HTTP/2 without TLS', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['POST', () => get(tokenPath).replace('GET', 'POST')],
  ['PUT', () => get(tokenPath).replace('GET', 'PUT')],
  ['OPTIONS', () => get(tokenPath).replace('GET', 'OPTIONS')],
  ['TRACE', () => get(tokenPath).replace('GET', 'TRACE')],
  ['CONNECT', () => get('127.0.0.1:80').replace('GET', 'CONNECT')],
  ['traversal', () => get(`/computeMetadata/v1/instance/../instance/service-accounts/default/token`)],
  ['traversal, encoded', () => get(tokenPath.replace('/default', '/%2e%2e/service-accounts/default'))],
  ['a doubled slash', () => get(tokenPath.replace('/instance', '//instance'))],
  ['an encoded letter', () => get(tokenPath.replace('token', '%74oken'))],
  ['an encoded slash', () => get(tokenPath.replace('/token', '%2ftoken'))],
  ['a backslash', () => get(tokenPath.replace('/token', String.raw`\token`))],
  ['a path parameter', () => get(`${tokenPath};x=1`)],
  ['a slash behind token', () => get(`${tokenPath}/`)],
  ['a word behind token', () => get(`${tokenPath}/x`)],
  ['a whole URL', () => get(`http://127.0.0.1:${agent.port}${tokenPath}`)],
  ['a whole URL elsewhere', () => get(`http://evil.example${tokenPath}`)],
  ['scopes given twice', () => get(`${tokenPath}?scopes=a&scopes=b`)],
  ['an account that is not there', () => get(tokenPath.replace('default', 'other'))],
  ['a body', () => get(tokenPath, [host(), flavour, 'Content-Length: 3']).concat('a=b')],
  [
    'a chunked body',
    () => get(tokenPath, [host(), flavour, 'Transfer-Encoding: chunked']).concat('0\r\n\r\n'),
  ],
  ['two lengths', () => get(tokenPath, [host(), flavour, 'Content-Length: 0', 'Transfer-Encoding: chunked'])],
  ['to be continued', () => get(tokenPath, [host(), flavour, 'Expect: 100-continue'])],
  ['a huge header', () => get(tokenPath, [host(), flavour, `X-Padding: ${'x'.repeat(20_000)}`])],
  ['a huge target', () => get(`${tokenPath}?scopes=${'x'.repeat(20_000)}`)],
  ['a header folded over two lines', () => get(tokenPath, [host(), 'Metadata-Flavor:\r\n Google'])],
  ['a header with a space before its colon', () => get(tokenPath, [host(), 'Metadata-Flavor : Google'])],
  ['lines that end with LF alone', () => get(tokenPath).replaceAll('\r\n', '\n')],
  ['half a request', () => get(tokenPath).slice(0, -4)],
  ['one letter', () => 'G'],
]

describe(`P33: the agent gives no token to ${hostile.length} hostile requests`, () => {
  test.each(hostile)('%s', async (_name, octets) => {
    const answer = await sendRaw(agent.port, octets(), 400)

    expect(answer).not.toContain('token-')
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    expect(broker.asked).toHaveLength(0)
  })

  test('and gives one to the request that they are variations of', async () => {
    expect(hostile.length).toBeGreaterThanOrEqual(40)
    const answer = await sendRaw(agent.port, get(tokenPath))

    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nMetadata-Flavor: Google\r\n/)
    expect(answer).toContain('"access_token":"token-1"')
    expect(broker.asked).toHaveLength(1)
  })

  test('what is refused is refused with 400 or 403, without saying what listens here', async () => {
    const noHeader = await sendRaw(agent.port, get(tokenPath, [host()]))
    const behind = await sendRaw(agent.port, get(`${tokenPath}/x`))
    const dotted = await sendRaw(agent.port, get(tokenPath.replace('/default', '/../default')))

    expect(noHeader).toMatch(/^HTTP\/1\.1 403 /)
    expect(noHeader).not.toContain('Metadata Server')
    expect(behind).toMatch(/^HTTP\/1\.1 400 /)
    expect(dotted).toMatch(/^HTTP\/1\.1 400 /)
    expect(agent.log()).toContain('downscope agent: refused a request: the Host is not this agent')
  })

  test('a request that is sent slowly is given up after 5 seconds', { timeout: 15_000 }, async () => {
    const startedMs = performance.now()
    const answer = await sendRaw(agent.port, get(tokenPath).slice(0, -2), 12_000)

    expect(answer).not.toContain('token-')
    expect(performance.now() - startedMs).toBeLessThan(11_000)
  })
})
