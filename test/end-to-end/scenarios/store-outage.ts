import { describe, expect, test } from 'vitest'
import type { BrokerProcess } from '../../support/spawn-broker.ts'
import { findEmulator, startFirestoreEmulator } from '../../support/start-firestore-emulator.ts'
import { administer, askToken, assertionForm, post, send } from '../../support/test-broker/ask.ts'
import { startHoldingProxy } from '../../support/test-broker/holding-proxy.ts'
import {
  createTestWorld,
  firestoreSettings,
  scopeOf,
  type TestWorld,
} from '../../support/test-broker/test-world.ts'
import { until } from '../../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const options = { timeout: 180_000 }
/** Beyond the 5 s for which a look at the credential counts, so that the store is asked and does not answer. */
const outageMs = 7_000

/** Waits until nothing that was read before the outage counts as new. */
export function describeStoreOutage(): void {
  describe
    .skipIf(!findEmulator().found)
    .concurrent('an outage of the store (skipped without emulator)', () => {
      test(
        'P20, P6: memory is served, the rest is told to wait within 10 s, and it recovers by itself',
        options,
        async (t) => {
          const world = await createTestWorld()
          const emulator = await startFirestoreEmulator()
          const proxy = await startHoldingProxy(emulator.host)
          t.onTestFinished(async () => {
            await world.close()
            await Promise.all([emulator.stop(), proxy.stop()])
          })
          const scopes = Array.from({ length: 60 }, (_, index) => scopeOf(`fresh-${index}`))
          const rules = [world.rule('sa', [mail, ...scopes])]
          const broker = await world.yard.start(world.settings(rules, firestoreSettings(proxy.host)))
          await world.enrolAccount(broker, 'sa')
          const parameters = { audience: 'sa', scope: mail }
          const unused = scopes.values()
          const askNew = () =>
            askToken(broker, world.workload, { audience: 'sa', scope: unused.next().value ?? '' })
          const { token } = await askToken(broker, world.workload, parameters)
          expect((await askNew()).status).toBe(200)

          // It hangs.
          process.kill(emulator.pid, 'SIGSTOP')
          await expectOutage({ broker, world, token, askNew })
          process.kill(emulator.pid, 'SIGCONT')
          await until('it serves again', async () => (await askNew()).status === 200, {
            ms: 40_000,
            pauseMs: 500,
          })
          // Its look at the store may be some seconds old.
          await until(
            'it is ready again',
            async () => (await send(`${broker.url}/readyz`, {})).status === 200,
            { ms: 40_000, pauseMs: 500 },
          )

          // It is gone, and another one comes in its place.
          process.kill(emulator.pid, 'SIGKILL')
          await expectOutage({ broker, world, token, askNew })
          const successor = await startFirestoreEmulator()
          t.onTestFinished(() => successor.stop())
          proxy.redirect(successor.host)
          await until(
            'the store is reached again',
            async () => (await send(`${broker.url}/readyz`, {})).status === 200,
            {
              ms: 40_000,
              pauseMs: 500,
            },
          )
          // The new one is empty.
          await world.enrolAccount(broker, 'sa')
          await until('it serves again', async () => (await askNew()).status === 200, {
            ms: 40_000,
            pauseMs: 500,
          })
        },
      )
    })
}

interface Outage {
  readonly broker: BrokerProcess
  readonly world: TestWorld
  /** In memory. */
  readonly token: string
  readonly askNew: () => ReturnType<typeof askToken>
}

async function expectOutage({ broker, world, token, askNew }: Outage): Promise<void> {
  const startedMs = performance.now()
  const others = Promise.all([
    askNew(),
    askNew(),
    assertionForm(world.billing, { audience: 'sa', scope: mail }).then((form) => post(broker, form)),
    administer(broker, world.ops, { method: 'GET', path: 'credentials/sa' }),
    // It reports a write of at most 5 s ago.
    until('readiness notices', async () => {
      const answer = await send(`${broker.url}/readyz`, {})
      return answer.status === 503 && answer
    }),
  ])
  while (performance.now() - startedMs < outageMs) {
    const served = await askToken(broker, world.workload, { audience: 'sa', scope: mail })
    expect(served).toMatchObject({ status: 200, token })
    expect(served.tookMs).toBeLessThan(5_000)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  const answers = await others
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503])
  for (const { headers } of answers.slice(0, 4)) expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  for (const { tookMs } of answers) expect(tookMs).toBeLessThan(10_000)
  expect((await send(`${broker.url}/healthz`, {})).status).toBe(200)
}
