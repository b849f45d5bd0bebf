import { connect } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { askToken } from '../support/test-broker/ask.ts'
import { converse } from '../support/test-broker/converse.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const good = { audience: 'sa', scope: mail }

let world: TestWorld
let broker: BrokerProcess

beforeAll(async () => {
  world = await createTestWorld()
  broker = await world.yard.start(world.settings([world.rule('sa', [mail])]))
  await world.enrolAccount(broker, 'sa')
  return () => world.close()
}, 180_000)

describe.concurrent('bytes that are no request', { timeout: 180_000 }, () => {
  test('P24: a chunked body is cut off after 64 KiB with 413, and the connection ends', async () => {
    const head = [
      'POST /v1/token HTTP/1.1',
      'Host: tokens.acme.example',
      'Content-Type: application/x-www-form-urlencoded',
      'Transfer-Encoding: chunked',
    ]
    const chunk = `4000\r\n${'a'.repeat(0x4000)}\r\n`
    const sent = { bytes: 0 }
    const said = await converse(broker.port, `${head.join('\r\n')}\r\n\r\n`, () => {
      sent.bytes += chunk.length
      return sent.bytes < 64 * 1024 * 1024 ? chunk : undefined
    })

    expect(said).toMatch(/^HTTP\/1\.1 413 /)
    expect(said).toContain('"error":"invalid_request"')
    // What the sockets of both sides hold, and not all that somebody would send.
    expect(sent.bytes).toBeLessThan(32 * 1024 * 1024)
  })

  test('P24: a body that declares more than 64 KiB is refused before it is sent', async () => {
    const head = [
      'POST /v1/token HTTP/1.1',
      'Host: tokens.acme.example',
      'Content-Type: application/x-www-form-urlencoded',
      'Content-Length: 70000',
    ]
    const said = await converse(broker.port, `${head.join('\r\n')}\r\n\r\n`)

    expect(said).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('pipelined requests are answered in their order', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: tokens.acme.example\r\n\r\n`
    const last = 'GET /nowhere HTTP/1.1\r\nHost: tokens.acme.example\r\nConnection: close\r\n\r\n'
    const said = await converse(
      broker.port,
      [get('/healthz'), get('/readyz'), get('/healthz'), last].join(''),
    )

    const statuses = [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    expect(statuses).toEqual(['200', '200', '200', '404'])
  })

  const garbage = {
    'bytes at random': Buffer.from(Array.from({ length: 512 }, (_, index) => (index * 89) % 256)),
    'a TLS greeting': Buffer.from('160301020001000100fc0303', 'hex'),
    'HTTP/2 without upgrade': Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    'two lengths': Buffer.from(
      'POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    ),
    'a length beside chunks': Buffer.from(
      'POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
    'no host': Buffer.from('GET /healthz HTTP/1.1\r\n\r\n'),
    'a broken host': Buffer.from('GET /healthz HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n'),
    'an absolute target elsewhere': Buffer.from(
      'GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ),
    'a tunnel': Buffer.from('CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n'),
    'an upgrade': Buffer.from(
      'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    ),
    'headers of 64 KiB': Buffer.from(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(65_536)}\r\n\r\n`),
  }
  for (const [name, bytes] of Object.entries(garbage))
    test(`P25: ${name} get no token, break nothing and leave the broker serving`, async () => {
      const said = await converse(broker.port, bytes)

      expect(said).not.toContain('access_token')
      expect(said).not.toMatch(/^HTTP\/1\.1 500/)
      const answer = await askToken(broker, world.workload, good)
      expect(answer).toMatchObject({ status: 200 })
    })

  test('a body that breaks off is refused or dropped, and is one record at most', async () => {
    const before = broker.audits().length
    await new Promise<void>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: broker.port }, () => {
        const head = 'POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n'
        socket.write(`${head}Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=`, () => {
          socket.destroy()
          resolve()
        })
      })
    })

    await until('a record of the broken body', () =>
      broker
        .audits()
        .slice(before)
        .some(({ reason }) => String(reason).includes('broke off')),
    )
    expect((await askToken(broker, world.workload, good)).status).toBe(200)
  })
})
