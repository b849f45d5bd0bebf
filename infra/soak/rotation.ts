import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { askToken } from '../../test/support/test-broker/ask.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import {
  enrol,
  expectStatus,
  killOnce,
  killPoints,
  openRotationSoak,
  post,
  propagationSeconds,
  reading,
  standing,
  type RotationSoak,
} from './kill-rotation.ts'
import { moveClock } from './moved-clock.ts'
import { inTestWorld } from './proof.ts'

type Say = (line: string) => void

const requestsPerSecond = 50
const killsPerPoint = 10
const day = 86_400

/**
 * A whole rotation under 50 requests a second to two brokers fails none of them; and whenever a broker is killed in
 * the middle of a step, another ends the rotation right. The wall clock of all is moved over the waiting times, but
 * for those until a new key works.
 */
export const proveRotation = inTestWorld(async (world, say) => {
  const soak = openRotationSoak(world)
  return [...(await rotateUnderLoad(soak, say)), ...(await killAtEachPoint(soak, say))]
})

async function rotateUnderLoad(
  { world, settings, clock }: RotationSoak,
  say: Say,
): Promise<readonly string[]> {
  const brokers = await Promise.all([world.yard.start(settings), world.yard.start(settings)])
  const [one] = brokers
  const file = await enrol(world, one, 'busy-sa')
  const load = createLoad(world, brokers)
  const running = load.run()
  const startedMs = performance.now()
  await expectStatus(200, post(world, one, 'credentials/busy-sa:rotate'))
  const slept: string[] = []
  for (;;) {
    const { step, waitSeconds } = await standing(world, one, 'busy-sa')
    if (step === 'over') break
    // The time until the key works passes for real.
    if (waitSeconds > 60) await load.paused(() => moveClock(clock, waitSeconds))
    else await wait(1000)
    if (slept.at(-1) !== step) slept.push(step)
    await post(world, one, 'maintenance:run')
  }
  await load.paused(() => moveClock(clock, day))
  await post(world, one, 'maintenance:run')
  await wait(3000)
  const statuses = await load.stop(running)
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  say(`${JSON.stringify(statuses)} answers in ${seconds} s through ${slept.join(', ')}`)
  for (const broker of brokers) await broker.stop()

  const keys = world.google.keysOf(file.client_email)
  return [
    ...Object.keys(statuses).flatMap((status) => (status === '200' ? [] : [`requests answered ${status}`])),
    ...((statuses['200'] ?? 0) < requestsPerSecond * propagationSeconds ? ['too few requests to tell'] : []),
    ...(keys.length === 1 && keys[0]?.id !== file.private_key_id ? [] : ['the old key is not gone upstream']),
  ]
}

/** Asks both brokers in turn; can be held while the clock is moved, for a JWT does not live through that. */
function createLoad(world: TestWorld, brokers: readonly BrokerProcess[]) {
  const statuses: Record<string, number> = {}
  const inFlight = new Set<Promise<void>>()
  let isStopped = false
  let held: Promise<void> | undefined
  const ask = async (index: number): Promise<void> => {
    const broker = brokers[index % brokers.length]
    if (broker === undefined) return
    const { status } = await askToken(broker, world.workload, { audience: 'busy-sa', scope: reading })
    statuses[status] = (statuses[status] ?? 0) + 1
  }
  return {
    run: async (): Promise<void> => {
      for (let index = 0; !isStopped; index += 1) {
        await held
        const asking = ask(index).finally(() => inFlight.delete(asking))
        inFlight.add(asking)
        await wait(1000 / requestsPerSecond)
      }
      await Promise.all(inFlight)
    },
    paused: async (work: () => Promise<void>): Promise<void> => {
      const pause = Promise.withResolvers<void>()
      held = pause.promise
      await wait(2000 / requestsPerSecond)
      await Promise.all(inFlight)
      await work()
      held = undefined
      pause.resolve()
    },
    stop: async (running: Promise<void>) => {
      isStopped = true
      await running
      return statuses
    },
  }
}

async function killAtEachPoint(soak: RotationSoak, say: Say): Promise<readonly string[]> {
  const faults: string[] = []
  let broker = await soak.world.yard.start(soak.settings)
  for (const point of killPoints) {
    let right = 0
    for (let count = 0; count < killsPerPoint; count += 1) {
      const name = `sa-${killPoints.indexOf(point)}-${count}`
      const survived = await killOnce(soak, { broker, point, name })
      broker = survived.broker
      if (survived.fault === undefined) right += 1
      else {
        faults.push(`${name}, killed while ${point.name}: ${survived.fault}`)
        say(`${name}, killed while ${point.name}: ${survived.fault}`)
      }
    }
    say(`killed while ${point.name}: ${right} of ${killsPerPoint} right`)
  }
  await broker.stop()
  return faults
}
