import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'

const kills = 5
const grantsAtOnce = 20
const keysAtOnce = 10
/** A refresh takes some ten milliseconds: those of one kill are at its steps one after the other. */
const apartMs = 10
const [first, second] = [scopeOf('gmail.readonly'), scopeOf('drive.readonly')]

/**
 * The broker is killed while rotating refresh tokens and keys are at each step of a refresh and a mint. Another gives a
 * token of each key, and of each grant or tells its loss; of one that was answered nothing is lost.
 */
export async function killInRefresh(
  world: TestWorld,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const rounds = Array.from({ length: kills }, (_, round) => ({
    grants: Array.from({ length: grantsAtOnce }, (__, index) => `grant-${round}-${index}`),
    keys: Array.from({ length: keysAtOnce }, (__, index) => `key-${round}-${index}`),
  }))
  const names = rounds.flatMap(({ grants, keys }) => [...grants, ...keys])
  const settings = world.settings(
    names.map((name) => world.rule(name, [first, second])),
    { DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'killed.db')}`, DOWNSCOPE_LOG_LEVEL: 'error' },
  )
  const faults: string[] = []
  const counts = { answered: 0, cut: 0, lost: 0 }
  let broker = await world.yard.start(settings)
  for (const { grants, keys } of rounds) {
    for (const name of grants) {
      await world.enrolGrant(broker, name, { scopes: [first, second], rotating: true, reuseDetection: true })
    }
    for (const name of keys) await world.enrolAccount(broker, name)
    const answered = await killWhile(world, broker, [...grants, ...keys])
    counts.answered += answered.size
    counts.cut += grants.length + keys.length - answered.size

    broker = await world.yard.start(settings)
    for (const name of [...grants, ...keys]) {
      const told = await fateOf(world, broker, name)
      if (told === 'a token') continue
      if (told === 'its loss is told' && !answered.has(name) && grants.includes(name)) counts.lost += 1
      else faults.push(`${name}, ${answered.has(name) ? '' : 'not '}answered before the kill: ${told}`)
    }
  }
  await broker.stop()
  say(
    `killed ${kills} times within ${names.length} refreshes and mints: ${counts.answered} were answered, of the ${counts.cut} others ${counts.lost} grants lost and told; ${faults.length} harmed otherwise`,
  )
  return [...faults, ...(counts.answered === 0 || counts.cut === 0 ? ['no kill met a refresh'] : [])]
}

/** Asks for one after the other and kills when the last is on its way; those that were answered. */
async function killWhile(
  world: TestWorld,
  broker: BrokerProcess,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const answered = new Set<string>()
  const asked: Promise<void>[] = []
  for (const name of names.toSorted((one, other) => one.slice(-2).localeCompare(other.slice(-2)))) {
    const asking = askToken(broker, world.workload, { audience: name, scope: first })
    asked.push(
      asking.then(
        ({ status }) => void (status === 200 && answered.add(name)),
        () => undefined,
      ),
    )
    await wait(apartMs)
  }
  await broker.kill9()
  await Promise.all(asked)
  return answered
}

/** What becomes of a token that was not asked for before, once the lease of the killed process is over. */
async function fateOf({ workload, ops }: TestWorld, broker: BrokerProcess, name: string): Promise<string> {
  const { status, text } = await until(
    `a decision on ${name}`,
    async () => {
      const answer = await askToken(broker, workload, { audience: name, scope: second })
      return answer.status !== 503 && answer
    },
    { pauseMs: 500 },
  )
  if (status === 200) return 'a token'
  const shown = await administer(broker, ops, { method: 'GET', path: `credentials/${name}` })
  return status === 400 && /a rotation was interrupted .* enrol again/.test(shown.text)
    ? 'its loss is told'
    : `${status} ${text}`
}
