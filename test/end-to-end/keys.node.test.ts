import { join } from 'node:path'
import { expect, test } from 'vitest'
import { askToken } from '../support/test-broker/ask.ts'
import { createTestWorld, newKey, scopeOf } from '../support/test-broker/test-world.ts'

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')

test(
  'P20, P25: a wrong key ring refuses what it cannot open with 503 and names the key; the rest is served',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    const names = ['account', 'grant', 'new-k1', 'new-k2']
    const rules = names.map((name) => world.rule(name, [mail, drive]))
    const settings = (keys: string) =>
      world.settings(rules, {
        DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
        DOWNSCOPE_KEYS: keys,
      })
    const right = newKey('k1')
    const first = await world.yard.start(settings(right))
    await world.enrolAccount(first, 'account')
    const file = await world.enrolGrant(first, 'grant', { scopes: [mail, drive], rotating: true })
    for (const audience of ['account', 'grant'])
      expect((await askToken(first, world.workload, { audience, scope: mail })).status).toBe(200)
    await first.stop()

    // Another key of the same name; then another name alone.
    for (const kid of ['k1', 'k2']) {
      const broker = await world.yard.start(settings(newKey(kid)))
      for (const audience of ['account', 'grant'])
        for (const scope of [mail, drive]) {
          const answer = await askToken(broker, world.workload, { audience, scope })
          expect(answer).toMatchObject({ status: 503 })
          expect(answer.body['error']).toBe('temporarily_unavailable')
          expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
          const { error, reason } = await broker.auditOf(answer.requestId)
          expect(error).toBe('key_ring_unavailable')
          expect(reason).toMatch(/key "k1"/)
        }
      await world.enrolAccount(broker, `new-${kid}`)
      const other = await askToken(broker, world.workload, { audience: `new-${kid}`, scope: mail })
      expect(other).toMatchObject({ status: 200 })
      await broker.stop()
    }

    // Nothing was harmed: with the right key beside a new first one everything is served again.
    const last = await world.yard.start(settings(`${newKey('k9')},${right}`))
    for (const audience of ['account', 'grant']) {
      const answer = await askToken(last, world.workload, { audience, scope: drive })
      expect(answer).toMatchObject({ status: 200 })
    }
    expect(world.google.grant(file.refresh_token)).toMatchObject({ state: 'live', rotations: 2 })
  },
)
