import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { isMembers } from '../../src/domain/json-object.ts'
import type { Call } from '../../test/support/google/calls.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { clockFileName, moveClock, movedClockOption, shareClock } from './moved-clock.ts'
import type { Proof } from './proof.ts'

const requestsPerSecond = 50
/** Until the token endpoint knows a new key. */
const propagationSeconds = 20
const killsPerPoint = 10
const reading = scopeOf('devstorage.read_only')
const day = 86_400

interface Soak {
  readonly world: TestWorld
  readonly settings: BrokerSettings
  readonly clock: string
  readonly say: (line: string) => void
}

/**
 * A whole rotation under 50 requests a second to two brokers fails none of them; and whenever a broker is killed in
 * the middle of a step, another ends the rotation right. The wall clock of all is moved over the waiting times, but
 * for those until a new key works.
 */
export const proveRotation: Proof = async (say) => {
  const world = await createTestWorld()
  const clock = join(world.folder, 'clock')
  writeFileSync(clock, '0')
  shareClock(clock)
  try {
    world.google.tune({ keyPropagation: propagationSeconds, listLag: 5 })
    const settings = world.settings([world.rule('busy-sa', [reading])], {
      DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
      DOWNSCOPE_LOG_LEVEL: 'error',
      NODE_OPTIONS: movedClockOption,
      [clockFileName]: clock,
    })
    const soak: Soak = { world, settings, clock, say }
    return [...(await rotateUnderLoad(soak)), ...(await killAtEachPoint(soak))]
  } finally {
    await world.close()
  }
}

async function rotateUnderLoad({ world, settings, clock, say }: Soak): Promise<readonly string[]> {
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

/** Where a broker is killed: while that call is on its way, before or after Google did what it was asked. */
interface KillPoint {
  readonly name: string
  readonly endpoint: 'iam' | 'token'
  readonly hangs: (call: Call, keysUpstream: number) => boolean
  readonly processed: boolean
  /** Where Google is to make the key. */
  readonly uploadForbidden?: true
}

const iam = (grant: string) => (call: Call) => call.grant === grant
const points: readonly KillPoint[] = [
  { name: 'counting the keys', endpoint: 'iam', hangs: iam('listKeys'), processed: false },
  { name: 'uploading, done', endpoint: 'iam', hangs: iam('uploadKey'), processed: true },
  {
    name: 'creating, done',
    endpoint: 'iam',
    hangs: iam('createKey'),
    processed: true,
    uploadForbidden: true,
  },
  { name: 'proving', endpoint: 'token', hangs: (_, keysUpstream) => keysUpstream > 1, processed: true },
  { name: 'disabling, done', endpoint: 'iam', hangs: iam('switchKey'), processed: true },
  { name: 'deleting, done', endpoint: 'iam', hangs: iam('deleteKey'), processed: true },
]

async function killAtEachPoint(soak: Soak): Promise<readonly string[]> {
  const faults: string[] = []
  let broker = await soak.world.yard.start(soak.settings)
  for (const point of points) {
    let right = 0
    for (let count = 0; count < killsPerPoint; count += 1) {
      const name = `sa-${points.indexOf(point)}-${count}`
      const survived = await killOnce(soak, { broker, point, name })
      broker = survived.broker
      if (survived.fault === undefined) right += 1
      else {
        faults.push(`${name}, killed while ${point.name}: ${survived.fault}`)
        soak.say(`${name}, killed while ${point.name}: ${survived.fault}`)
      }
    }
    soak.say(`killed while ${point.name}: ${right} of ${killsPerPoint} right`)
  }
  await broker.stop()
  return faults
}

interface Kill {
  readonly broker: BrokerProcess
  readonly point: KillPoint
  readonly name: string
}

async function killOnce(
  { world, settings, clock }: Soak,
  { broker, point, name }: Kill,
): Promise<{ readonly broker: BrokerProcess; readonly fault: string | undefined }> {
  const { google } = world
  const file = await enrol(world, broker, name)
  google.tune({ keyUploadDisabled: point.uploadForbidden === true })
  const { client_email: email } = file
  const isIt = (call: Call) => call.credential === email && point.hangs(call, google.keysOf(email).length)
  let hung = false
  google.script[point.endpoint].always((call) => {
    if (!isIt(call)) return undefined
    hung = true
    return { do: 'hang', processed: point.processed }
  })
  await expectStatus(200, post(world, broker, `credentials/${name}:rotate`))
  // Until the call hangs, in the background of the broker or in a run that this one asks for.
  while (!hung) {
    const { waitSeconds } = await standing(world, broker, name)
    await moveClock(clock, Math.max(waitSeconds, (await removalSeconds(world, broker, name)) ?? 0))
    await Promise.race([post(world, broker, 'maintenance:run').catch(() => undefined), wait(3000)])
  }
  await broker.kill9()
  google.script[point.endpoint].clear()

  const next = await world.yard.start(settings)
  for (let run = 0; run < 60; run += 1) {
    const { step, waitSeconds } = await standing(world, next, name)
    const removal = await removalSeconds(world, next, name)
    if (step === 'over' && removal === undefined) break
    // A lease that was left behind lives for 12 s.
    await moveClock(clock, Math.max(13, waitSeconds, step === 'over' ? (removal ?? 0) : 0))
    await post(world, next, 'maintenance:run')
  }
  return { broker: next, fault: await faultOf(world, next, { name, email, old: file.private_key_id }) }
}

async function faultOf(
  world: TestWorld,
  broker: BrokerProcess,
  { name, email, old }: { readonly name: string; readonly email: string; readonly old: string },
): Promise<string | undefined> {
  const body = await read(world, broker, name)
  const keys = world.google.keysOf(email)
  if (body['rotation'] !== undefined) return `it is still at ${JSON.stringify(body['rotation'])}`
  if (keys.length !== 1 || keys[0]?.disabled === true) return `${keys.length} keys are left upstream`
  if (keys[0]?.id !== body['key_id'] || keys[0]?.id === old) return 'the key upstream is not the new one'
  const states = versionsIn(body).map(({ state }) => state)
  const isClean = states.filter((state) => state === 'active').length === 1
  return isClean && states.every((state) => state === 'active' || state === 'destroyed')
    ? undefined
    : `its versions are ${states.join(', ')}`
}

async function standing(
  world: TestWorld,
  broker: BrokerProcess,
  name: string,
): Promise<{ readonly step: string; readonly waitSeconds: number }> {
  const body = await read(world, broker, name)
  const rotation = body['rotation']
  if (!isMembers(rotation)) return { step: 'over', waitSeconds: 0 }
  return { step: String(rotation['step']), waitSeconds: secondsUntil(rotation['next_try_at']) }
}

/** How long until the last former version is removed; `undefined` when there is none to be. */
async function removalSeconds(
  world: TestWorld,
  broker: BrokerProcess,
  name: string,
): Promise<number | undefined> {
  const body = await read(world, broker, name)
  const due = versionsIn(body).flatMap(({ removal }) => (isMembers(removal) ? [removal['due_at']] : []))
  return due.length === 0 ? undefined : Math.max(...due.map(secondsUntil))
}

async function read(world: TestWorld, broker: BrokerProcess, name: string) {
  const path = `credentials/${name}`
  const { status, body, text } = await administer(broker, world.ops, { method: 'GET', path })
  if (status !== 200) throw new Error(`${status} ${text}`)
  return body
}

function versionsIn({ versions }: Readonly<Record<string, unknown>>) {
  return Array.isArray(versions) ? versions.filter((version) => isMembers(version)) : []
}

function secondsUntil(timestamp: unknown): number {
  return Math.max(0, Math.ceil((Date.parse(String(timestamp)) - Date.now()) / 1000))
}

async function enrol(world: TestWorld, broker: BrokerProcess, name: string) {
  const file = await world.enrolAccount(broker, name)
  world.google.allowKeyAdministration(file.client_email, file.client_email)
  return file
}

function post(world: TestWorld, broker: BrokerProcess, path: string) {
  return administer(broker, world.ops, { method: 'POST', path })
}

async function expectStatus(wanted: number, asking: ReturnType<typeof administer>): Promise<void> {
  const { status, text } = await asking
  if (status !== wanted) throw new Error(`${status} ${text}`)
}
