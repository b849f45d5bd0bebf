import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'

const callersAtOnce = 50

/** Of one policy, on one store. */
export type Brokers = readonly [BrokerProcess, BrokerProcess]

export async function startTwoBrokers(
  world: TestWorld,
  policy: object,
  settings: BrokerSettings,
): Promise<Brokers> {
  const all = world.settings([], {
    DOWNSCOPE_POLICY_YAML: JSON.stringify(policy),
    DOWNSCOPE_LOG_LEVEL: 'warn',
    DOWNSCOPE_CALLER_RATE: '0',
    ...settings,
  })
  const first = await world.yard.start(all)
  return [first, await world.yard.start(all)]
}

export async function stopBoth(brokers: Brokers): Promise<void> {
  await Promise.all(brokers.map((broker) => broker.stop()))
}

export async function enrolCredential(world: TestWorld, broker: BrokerProcess, body: object): Promise<void> {
  const answer = await administer(broker, world.ops, { method: 'POST', path: 'credentials', body })
  if (answer.status !== 201) throw new Error(`not enrolled: ${answer.status} ${answer.text}`)
}

/** Fifty callers ask both brokers until so many tokens have come and gone; gives back what was counted. */
export async function serveExpiries(
  world: TestWorld,
  brokers: Brokers,
  wanted: { readonly audience: string; readonly scope: string; readonly expiries: number },
): Promise<string> {
  const { audience, scope, expiries } = wanted
  const tokens = new Set<string>()
  const faults: string[] = []
  let asked = 0
  let told = 0
  const untilMs = performance.now() + expiries * 60_000
  const caller = async (index: number) => {
    while (tokens.size <= expiries && faults.length === 0 && performance.now() < untilMs) {
      const broker = brokers[index % 2] ?? brokers[0]
      const { status, token, body, text, requestId } = await askToken(broker, world.workload, { audience })
      asked += 1
      if (status === 200 && body['scope'] === scope) tokens.add(token)
      else if (body['error'] === 'temporarily_unavailable') told += 1
      else {
        const lines = broker.stdout().split('\n')
        faults.push(`${status} ${text} ${lines.filter((line) => line.includes(requestId)).join(' ')}`)
      }
      await wait(500 + Math.random() * 500)
    }
  }
  await Promise.all(Array.from({ length: callersAtOnce }, (_, index) => caller(index)))
  if (faults.length > 0) throw new Error(faults[0])
  if (tokens.size <= expiries) throw new Error(`only ${tokens.size} tokens in ${expiries} minutes`)
  return `        ${tokens.size} tokens for ${asked} requests of ${callersAtOnce} callers at two brokers, ${told} told to wait`
}
