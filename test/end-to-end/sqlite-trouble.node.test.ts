import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { administer, askToken, send } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const fresh = scopeOf('drive.readonly')

test(
  'P20: another process that keeps the file locked stops no token in memory, and no answer takes longer than 10 s',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const { world, broker, path } = await openBroker(onTestFinished)
    const parameters = { audience: 'sa', scope: mail }
    const before = await askToken(broker, world.workload, parameters)
    const other = new DatabaseSync(path, { timeout: 10_000 })
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')

    // With waits within SQLite the last of these came after 20 s.
    const stops = Array.from({ length: 3 }, () =>
      administer(broker, world.ops, { method: 'POST', path: 'service:stop' }),
    )
    const misses = Array.from({ length: 3 }, () =>
      askToken(broker, world.workload, { audience: 'sa', scope: fresh }),
    )
    const hits = Array.from({ length: 5 }, () => askToken(broker, world.workload, parameters))
    for (const { token, tookMs } of await Promise.all(hits)) {
      expect(token).toBe(before.token)
      expect(tookMs).toBeLessThan(10_000)
    }
    for (const { status, headers, tookMs } of await Promise.all([...stops, ...misses])) {
      expect([status, headers.has('retry-after')]).toEqual([503, true])
      expect(tookMs).toBeLessThan(10_000)
    }

    other.exec('ROLLBACK')
    const stopped = await administer(broker, world.ops, { method: 'POST', path: 'service:stop' })
    expect(stopped.status).toBe(200)
    await until(
      'it is stopped',
      async () => (await askToken(broker, world.workload, parameters)).status === 503,
    )
  },
)

test(
  'a file that was deleted shows at /readyz, for all that is written is lost with the process',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const { broker, path } = await openBroker(onTestFinished)
    expect(await send(`${broker.url}/readyz`, {})).toMatchObject({ status: 200, body: { store: 'ok' } })
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true })

    const answer = await until('it is noticed', async () => {
      const ready = await send(`${broker.url}/readyz`, {})
      return ready.status === 503 && ready
    })
    expect(answer.body).toMatchObject({ status: 'fault', store: 'fault', key_ring: 'ok', policy: 'ok' })
    expect(broker.stdout()).toContain('the file was deleted or replaced while it was open')
  },
)

async function openBroker(onFinished: (clean: () => Promise<void>) => void) {
  const world = await createTestWorld()
  onFinished(() => world.close())
  const path = join(world.folder, 'store.db')
  const broker = await world.yard.start(
    world.settings([world.rule('sa', [mail, fresh])], { DOWNSCOPE_STORE: `sqlite:${path}` }),
  )
  await world.enrolAccount(broker, 'sa')
  return { world, broker, path }
}
