import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { askToken } from '../../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../../support/test-broker/test-world.ts'

const mail = scopeOf('gmail.readonly')
/** The broker's own limit is 10 s, and it looks every second. */
const patienceMs = 20_000
const head = [
  'POST /v1/token HTTP/1.1',
  'Host: broker',
  'Content-Type: application/x-www-form-urlencoded',
  'Content-Length: 60000',
]

export function describeSlowSenders(): void {
  test(
    'P24: who sends too slowly is hung up on after some 10 s, and nobody else waits for it',
    { timeout: 180_000 },
    async ({ onTestFinished }) => {
      const world = await createTestWorld()
      onTestFinished(() => world.close())
      const broker = await world.yard.start(world.settings([world.rule('sa', [mail])]))
      await world.enrolAccount(broker, 'sa')

      const startedMs = performance.now()
      const slow = Array.from({ length: 50 }, (_, n) => sendSlowly(broker.port, n % 2 === 0))
      const answer = await askToken(broker, world.workload, { audience: 'sa', scope: mail })
      await Promise.all(slow)

      expect(answer).toMatchObject({ status: 200 })
      const tookMs = performance.now() - startedMs
      expect(tookMs).toBeGreaterThan(8_000)
      expect(tookMs).toBeLessThan(patienceMs)
    },
  )
}

/** A byte now and then of the head, or of a body that was announced; resolves when the broker hangs up. */
function sendSlowly(port: number, withinHead: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: '127.0.0.1', port })
    const drip = setInterval(() => socket.write(withinHead ? 'X' : 'a'), 500)
    socket.setTimeout(patienceMs, () => socket.destroy(new Error('nobody hung up')))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('data', () => undefined)
    socket.once('close', () => {
      clearInterval(drip)
      resolve()
    })
    socket.write(withinHead ? head.slice(0, 2).join('\r\n') : `${head.join('\r\n')}\r\n\r\n`)
  })
}
