import { describe, expect, inject, test } from 'vitest'
import { administer, askToken, type Answer } from '../../support/test-broker/ask.ts'
import { startHoldingProxy } from '../../support/test-broker/holding-proxy.ts'
import { createTestWorld, firestoreSettings, scopeOf } from '../../support/test-broker/test-world.ts'
import { until } from '../../support/test-broker/until.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const reading = scopeOf('devstorage.read_only')
const options = { timeout: 180_000 }
/** A lease lives 10 s and is taken over 2 s later. */
const leaseMs = 40_000

/** Each waits until a lease is over. */
export function describeLateInstance(): void {
  describe.skipIf(emulatorHost === undefined).concurrent('a late instance (skipped without emulator)', () => {
    test(
      'P18: stopped past its lease, it overwrites nothing when it goes on',
      options,
      async ({ onTestFinished }) => {
        const world = await createTestWorld()
        onTestFinished(() => world.close())
        const settings = world.settings([world.rule('sa', [reading])], firestoreSettings(emulatorHost ?? ''))
        const [late, next, reader] = await Promise.all([
          world.yard.start(settings),
          world.yard.start(settings),
          world.yard.start(settings),
        ])
        await world.enrolAccount(next, 'sa')
        const parameters = { audience: 'sa', scope: reading }
        world.google.script.token.next(1, { do: 'slow', delayMs: 500 })

        const lateAnswer = askToken(late, world.workload, parameters)
        await until('the late one is minting', () => world.google.calls.count({ endpoint: 'token' }) === 1)
        late.pause()
        const successor = await untilIssued(() => askToken(next, world.workload, parameters))
        late.resume()
        await lateAnswer
        const read = await askToken(reader, world.workload, parameters)

        expect(read.token).toBe(successor.token)
        expect(await reader.auditOf(read.requestId)).toMatchObject({ source: 'store' })
        expect(world.google.tokens()).toHaveLength(2)
      },
    )

    test(
      "P18: its write that reaches the store after another one's changes nothing",
      options,
      async ({ onTestFinished }) => {
        const world = await createTestWorld()
        const proxy = await startHoldingProxy(emulatorHost ?? '')
        onTestFinished(async () => {
          await proxy.stop()
          await world.close()
        })
        const settings = world.settings([world.rule('sa', [reading])], firestoreSettings(emulatorHost ?? ''))
        const [late, next, reader] = await Promise.all([
          world.yard.start({ ...settings, FIRESTORE_EMULATOR_HOST: proxy.host }),
          world.yard.start(settings),
          world.yard.start(settings),
        ])
        await world.enrolAccount(next, 'sa')
        const parameters = { audience: 'sa', scope: reading }
        world.google.script.token.next(1, () => {
          // From here on the late one has its lease and Google's token, and only the store does not hear of it.
          proxy.hold()
          return undefined
        })

        const own = await askToken(late, world.workload, parameters)
        expect(own).toMatchObject({ status: 200 })
        const successor = await untilIssued(() => askToken(next, world.workload, parameters))
        proxy.release()
        await until('the late one reaches the store again', async () => {
          const { status } = await administer(late, world.ops, { method: 'GET', path: 'credentials/sa' })
          return status === 200
        })
        const read = await askToken(reader, world.workload, parameters)

        expect(successor.token).not.toBe(own.token)
        expect(read.token).toBe(successor.token)
        expect(await reader.auditOf(read.requestId)).toMatchObject({ source: 'store' })
      },
    )
  })
}

function untilIssued(ask: () => Promise<Answer>): Promise<Answer> {
  return until(
    'the lease is taken over',
    async () => {
      const answer = await ask()
      return answer.status === 200 && answer
    },
    { ms: leaseMs, pauseMs: 300 },
  )
}
