import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isMembers } from '../../src/domain/json.ts'
import type { Call } from '../../test/support/google/calls.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { clockFileName, moveClock, movedClockOption, shareClock } from './moved-clock.ts'

/** Until the token endpoint knows a new key. */
export const propagationSeconds = 20
export const reading = scopeOf('devstorage.read_only')

/** Brokers whose wall clock can be moved over the times in which a rotation waits. */
export interface RotationSoak {
  readonly world: TestWorld
  readonly settings: BrokerSettings
  /** The file that holds how far the clock is ahead. */
  readonly clock: string
}

/** This process shares the clock too, for as long as it lives. */
export function openRotationSoak(world: TestWorld): RotationSoak {
  const clock = join(world.folder, 'clock')
  writeFileSync(clock, '0')
  shareClock(clock)
  world.google.tune({ keyPropagation: propagationSeconds, listLag: 5 })
  const settings = world.settings([world.rule('busy-sa', [reading])], {
    DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
    DOWNSCOPE_LOG_LEVEL: 'error',
    NODE_OPTIONS: movedClockOption,
    [clockFileName]: clock,
  })
  return { world, settings, clock }
}

/** Where a broker is killed: while that call is on its way, before or after Google did what it was asked. */
export interface KillPoint {
  readonly name: string
  readonly endpoint: 'iam' | 'token'
  readonly hangs: (call: Call, keysUpstream: number) => boolean
  readonly processed: boolean
  /** Where Google is to make the key. */
  readonly uploadForbidden?: true
}

const iam = (grant: string) => (call: Call) => call.grant === grant
export const killPoints: readonly KillPoint[] = [
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

interface Kill {
  readonly broker: BrokerProcess
  readonly point: KillPoint
  readonly name: string
  /** Where it is only stopped for so long, while Google answers, and finishes itself. */
  readonly stoppedSeconds?: number | undefined
}

/** Rotates a new account's key, kills the broker at that point, and lets another one finish. */
export async function killOnce(
  { world, settings, clock }: RotationSoak,
  { broker, point, name, stoppedSeconds }: Kill,
): Promise<{ readonly broker: BrokerProcess; readonly fault: string | undefined }> {
  const { google } = world
  const file = await enrol(world, broker, name)
  google.tune({ keyUploadDisabled: point.uploadForbidden === true })
  const { client_email: email } = file
  const isIt = (call: Call) => call.credential === email && point.hangs(call, google.keysOf(email).length)
  let hung = false
  let stopped: Promise<void> | undefined
  google.script[point.endpoint].always((call) => {
    if (!isIt(call)) return undefined
    hung = true
    if (stoppedSeconds !== undefined) {
      stopped ??= stopFor(broker, stoppedSeconds)
      return undefined
    }
    return { do: 'hang', processed: point.processed }
  })
  await expectStatus(200, post(world, broker, `credentials/${name}:rotate`))
  // Until the call hangs, in the background of the broker or in a run that this one asks for.
  while (!hung) {
    const { waitSeconds } = await standing(world, broker, name)
    await moveClock(clock, Math.max(waitSeconds, (await removalSeconds(world, broker, name)) ?? 0))
    await Promise.race([post(world, broker, 'maintenance:run').catch(() => undefined), wait(3000)])
  }
  await (stopped ?? broker.kill9())
  google.script[point.endpoint].clear()

  const next = stopped === undefined ? await world.yard.start(settings) : broker
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

export const stoppedSecondsEach = [1, 3, 7, 15, 30] as const

/** SIGSTOP now, SIGCONT so many seconds later. */
export async function stopFor(broker: BrokerProcess, seconds: number): Promise<void> {
  broker.pause()
  await wait(seconds * 1_000)
  broker.resume()
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

export async function standing(
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

export async function enrol(world: TestWorld, broker: BrokerProcess, name: string) {
  const file = await world.enrolAccount(broker, name)
  world.google.allowKeyAdministration(file.client_email, file.client_email)
  return file
}

export function post(world: TestWorld, broker: BrokerProcess, path: string) {
  return administer(broker, world.ops, { method: 'POST', path })
}

export async function expectStatus(wanted: number, asking: ReturnType<typeof administer>): Promise<void> {
  const { status, text } = await asking
  if (status !== wanted) throw new Error(`${status} ${text}`)
}
