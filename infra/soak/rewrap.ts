import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { parseLocalKeys, createLocalRingKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { createSqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { createSystemClock, createEntropy } from '../../src/adapters/system/clock-and-entropy.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createCredentials, type Credentials } from '../../src/records/credentials.ts'
import { isMembers, type Members } from '../../src/domain/json.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import { newKey, scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { stopFor, stoppedSecondsEach } from './kill-rotation.ts'
import { inTestWorld } from './proof.ts'

const keysEnrolled = 9950
const grantsEnrolled = 50
const killsWanted = 10
const scopes = Array.from({ length: 20 }, (_, index) => scopeOf(`soak-${index}`))
/** Short, so that tokens are minted all the time. */
const tokenLifeSeconds = 60

/**
 * 10,000 credentials are rewrapped from one local key to another by two brokers over one SQLite store, while callers
 * ask both for tokens of rotating refresh tokens, and one broker is killed and started again ten times, after it was
 * stopped for 1 to 30 s.
 */
export const proveRewrap = inTestWorld(run)

async function run(world: TestWorld, say: (line: string) => void): Promise<readonly string[]> {
  const [old, fresh] = [newKey('old'), newKey('fresh')]
  const path = join(world.folder, 'store.db')
  const before = openCredentials(path, old)
  const startedMs = performance.now()
  for (let index = 0; index < keysEnrolled; index += 1) await before.credentials.add(keyNamed(`key-${index}`))
  before.close()
  say(`${keysEnrolled} keys enrolled in ${Math.round((performance.now() - startedMs) / 1000)} s`)

  world.google.tune({ tokenLifetime: tokenLifeSeconds })
  const grants = Array.from({ length: grantsEnrolled }, (_, index) => `grant-${index}`)
  const settings = (keys: string) =>
    world.settings(
      grants.map((name) => world.rule(name, scopes)),
      { DOWNSCOPE_STORE: `sqlite:${path}`, DOWNSCOPE_KEYS: keys, DOWNSCOPE_LOG_LEVEL: 'error' },
    )
  const first = await world.yard.start(settings(`${fresh},${old}`))
  const other = await world.yard.start(settings(`${fresh},${old}`))
  const files = new Map<string, string>()
  for (const name of grants) {
    const { refresh_token: token } = await world.enrolGrant(first, name, {
      scopes: [...scopes],
      rotating: true,
    })
    files.set(name, token)
  }

  const state: State = {
    world,
    killed: first,
    other,
    isDone: false,
    asked: 0,
    told: 0,
    refused: [],
    kills: 0,
    met: 0,
  }
  const load = Promise.all(Array.from({ length: 4 }, () => askForTokens(state, grants)))
  const passes = await Promise.all([
    pass(state, 'killed', { limit: 50, pauseMs: 0 }),
    pass(state, 'other', { limit: 10, pauseMs: 50 }),
    killAgainAndAgain(state, settings(`${fresh},${old}`)),
  ])
  const last = await pass(state, 'other', { limit: 400, pauseMs: 0 })
  state.isDone = true
  await load
  await Promise.all([state.killed.stop(), other.stop()])
  const rewrapped = passes[0].rewrapped + passes[1].rewrapped + last.rewrapped
  say(
    `${state.kills} times killed and started again, ${stoppedSecondsEach.length} times stopped, ${state.met} of these within a rewrap, ${passes[0].calls + passes[1].calls} calls of keys:rewrap`,
  )
  say(`${rewrapped} records answered for as rewrapped, ${last.already} needed nothing in the last pass`)
  say(
    `${state.asked} tokens asked for meanwhile, ${state.told} told to wait while a process was stopped, ${state.refused.length} refused`,
  )

  const faults = state.refused.slice(0, 5)
  if (state.met < 3) faults.push(`only ${state.met} kills and stops met a rewrap`)
  if (state.asked < 500) faults.push(`only ${state.asked} tokens were asked for`)
  if (last.already < keysEnrolled + grantsEnrolled)
    faults.push(`only ${last.already} records in the last pass`)
  if (last.failed.length > 0) faults.push(`failed: ${last.failed.slice(0, 5).join(', ')}`)
  if (last.others.size > 0) faults.push(`still in use: ${[...last.others].join(', ')}`)
  const after = openCredentials(path, fresh)
  faults.push(
    ...(await judgeKeys(after.credentials)),
    ...(await judgeGrants(world, after.credentials, files)),
  )
  after.close()
  say(`${keysEnrolled} keys and ${files.size} grants were looked at with the new key alone`)
  return faults
}

interface State {
  readonly world: TestWorld
  /** The broker that is killed and started again. */
  killed: BrokerProcess
  readonly other: BrokerProcess
  isDone: boolean
  asked: number
  /** How many were told to wait meanwhile. */
  told: number
  readonly refused: string[]
  kills: number
  /** How many kills and stops met a rewrap. */
  met: number
  isStopped?: boolean
  isRewrapping?: boolean
}

interface Pass {
  rewrapped: number
  already: number
  calls: number
  readonly failed: string[]
  /** Other keys that a record is sealed under which does not go by itself. */
  readonly others: Set<string>
}

/** From the start to the end, going on where it was when the broker did not answer. */
async function pass(
  state: State,
  which: 'killed' | 'other',
  { limit, pauseMs }: { readonly limit: number; readonly pauseMs: number },
): Promise<Pass> {
  const done: Pass = { rewrapped: 0, already: 0, calls: 0, failed: [], others: new Set() }
  for (let after = ''; ;) {
    const path = `keys:rewrap?limit=${limit}${after === '' ? '' : `&after=${after}`}`
    if (which === 'killed') state.isRewrapping = true
    const answer = await administer(state[which], state.world.ops, { method: 'POST', path }).catch(
      () => undefined,
    )
    if (which === 'killed') state.isRewrapping = false
    if (answer?.status === 200) {
      const { body } = answer
      done.calls += 1
      done.rewrapped += Number(body['rewrapped'])
      done.already += Number(body['already'])
      for (const { key } of membersOf(body['failed'])) done.failed.push(String(key))
      for (const use of membersOf(body['still_in_use'])) {
        if (use['until'] === undefined) done.others.add(String(use['key_id']))
      }
      if (typeof body['after'] !== 'string') return done
      after = body['after']
    } else if (answer !== undefined && answer.status !== 503)
      throw new Error(`${answer.status} ${answer.text}`)
    await wait(answer?.status === 200 ? pauseMs : 50)
  }
}

/** With SIGSTOP and `kill -9`, at any moment. It rewraps and refreshes nothing: a refresh that is cut off is another proof's matter. */
async function killAgainAndAgain(state: State, settings: BrokerSettings): Promise<void> {
  while (state.kills < killsWanted) {
    await wait(100 + Math.random() * 500)
    const seconds = stoppedSecondsEach[state.kills]
    if (seconds !== undefined) {
      noteMet(state)
      state.isStopped = true
      await stopFor(state.killed, seconds)
      await wait(1_000)
      state.isStopped = false
    }
    noteMet(state)
    await state.killed.kill9()
    state.kills += 1
    state.killed = await state.world.yard.start(settings)
  }
}

function noteMet(state: State): void {
  if (state.isRewrapping === true) state.met += 1
}

async function askForTokens(state: State, grants: readonly string[]): Promise<void> {
  while (!state.isDone) {
    const wanted = { audience: oneOf(grants), scope: oneOf(scopes) }
    const answer = await askToken(state.other, state.world.workload, wanted)
    state.asked += 1
    // A process may be stopped while it holds the lock of the file: then others wait, and are told to.
    if (answer.status === 503 && state.isStopped === true) state.told += 1
    else if (answer.status !== 200) state.refused.push(`${answer.status} ${answer.text}`)
    await wait(5)
  }
}

async function judgeKeys(credentials: Credentials): Promise<readonly string[]> {
  const faults: string[] = []
  for (let index = 0; index < keysEnrolled; index += 1) {
    const { name, secret } = keyNamed(`key-${index}`)
    const kept = await openNow(credentials, name)
    if (kept?.kind !== 'service_account_key' || kept.privateKey.reveal() !== secret.privateKey.reveal())
      faults.push(`${name} is lost`)
  }
  return faults
}

async function judgeGrants(
  { google }: TestWorld,
  credentials: Credentials,
  files: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const faults: string[] = []
  for (const [name, token] of files) {
    const kept = await openNow(credentials, name)
    const grant = google.grant(token)
    const isCurrent = kept?.kind === 'refresh_token' && kept.refreshToken.reveal() === grant?.current
    if (!isCurrent || grant?.state !== 'live') faults.push(`${name} is not the current refresh token`)
    if ((grant?.rotations ?? 0) < 2) faults.push(`${name} was hardly used`)
  }
  return faults
}

async function openNow(credentials: Credentials, name: string) {
  const found = await credentials.find(name)
  return found === undefined ? undefined : (await credentials.openSecret(name, found.version)).secret
}

function openCredentials(path: string, keys: string) {
  const reading = parseLocalKeys(keys)
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  const clock = createSystemClock()
  const { store, close } = createSqliteStore({ path, clock })
  const keyRing = createKeyRing([createLocalRingKeys(reading.value)])
  const onMalformed = (error: Error) => {
    throw error
  }
  return {
    credentials: createCredentials({ store, clock, keyRing, entropy: createEntropy(), onMalformed }),
    close,
  }
}

function keyNamed(name: string) {
  const identity = `${name}@acme.iam.gserviceaccount.com`
  const privateKey = new Secret(`the private key of ${name}`)
  const secret = { kind: 'service_account_key', clientEmail: identity, keyId: name, privateKey } as const
  return { name, upstream: 'google', identity, keyId: name, secret }
}

function membersOf(list: unknown): readonly Members[] {
  return Array.isArray(list) ? list.filter(isMembers) : []
}

function oneOf(list: readonly string[]): string {
  return list[Math.floor(Math.random() * list.length)] ?? ''
}
