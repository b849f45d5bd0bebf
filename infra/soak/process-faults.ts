import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../test/support/free-port.ts'
import { startAuthorizationServer } from '../../test/support/oidc-provider/authorization-server.ts'
import { repository } from '../../test/support/run-node.ts'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { askToken, send, type Answer } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { killInRefresh } from './kill-refresh.ts'
import { killOnce, killPoints, openRotationSoak, stopFor, stoppedSecondsEach } from './kill-rotation.ts'
import { inTestWorld } from './proof.ts'
import { client, enrolShop, scopes, startBrokers } from './upstream-rotation.ts'

type Say = (line: string) => void

const scope = scopeOf('devstorage.read_only')
const answerMsMax = 10_000

/**
 * What an operating system does to a process: it is stopped for 1 to 30 s and killed at each step of a refresh, a mint
 * and a rotation, another process holds its file's lock, its disk is full, and nobody reads its standard output. Stops
 * and kills within a rewrap are `npm run soak rewrap`, ten kills at each step of a rotation `npm run soak rotation`.
 */
export const proveProcessFaults = inTestWorld(async (world, say) => [
  ...(await holdLock(world, say)),
  ...(await pauseInRefresh(world, say)),
  ...(await pauseInMint(world, say)),
  ...(await killInRefresh(world, say)),
  ...(await fillDisk(world, say)),
  ...(await leaveOutputUnread(world, say)),
  // Moves the clock of this process, so that nothing can follow.
  ...(await killInRotation(world, say)),
])

/** The answer with the new refresh token lies in the socket while the process is stopped: it is not asked for twice. */
async function pauseInRefresh(world: TestWorld, say: Say): Promise<readonly string[]> {
  const server = await startAuthorizationServer({
    scopes,
    accessTokenSeconds: 3,
    clients: [{ ...client, token_endpoint_auth_method: 'client_secret_basic' }],
  })
  const faults: string[] = []
  try {
    const brokers = await startBrokers(world, server.issuer)
    await enrolShop(world, brokers[0], await server.createRefreshToken(client.client_id, scopes))
    const ask = () => askToken(brokers[0], world.workload, { audience: 'shop' })
    for (const seconds of stoppedSecondsEach) {
      await wait(3_000)
      server.interfereOnce({ before: () => void stopFor(brokers[0], seconds) })
      const asked = await ask().catch((error: unknown) => String(error))
      const name = `stopped for ${seconds} s within a refresh`
      const status = await until('a token comes again', async () => {
        const answer = await ask()
        return answer.status === 200 && answer.status
      }).catch((error: unknown) => String(error))
      if (status !== 200) faults.push(`${name}: ${status}`)
      const revoked = server.storage.revokedGrants().length
      if (revoked > 0) faults.push(`${name}: ${revoked} families revoked`)
      const first = typeof asked === 'string' ? asked : `${asked.status}${reasonOf(brokers[0], asked)}`
      say(`${name}: ${first}, then ${status}, ${revoked} families revoked`)
    }
    for (const broker of brokers) await broker.stop()
  } finally {
    await server.close()
  }
  return faults
}

/** What the record says of a refusal: a token that lives for 3 s is over when a longer stop is. */
function reasonOf({ auditsOf }: BrokerProcess, { requestId }: Answer): string {
  const [record] = auditsOf(requestId)
  return record?.['reason'] === undefined ? '' : ` (${JSON.stringify(record['reason'])})`
}

async function pauseInMint(world: TestWorld, say: Say): Promise<readonly string[]> {
  const names = stoppedSecondsEach.map((seconds) => `minted-${seconds}`)
  const broker = await world.yard.start(
    world.settings(
      names.map((name) => world.rule(name, [scope])),
      { DOWNSCOPE_LOG_LEVEL: 'error' },
    ),
  )
  const faults: string[] = []
  for (const seconds of stoppedSecondsEach) {
    const name = `minted-${seconds}`
    await world.enrolAccount(broker, name)
    world.google.script.token.next(1, () => {
      void stopFor(broker, seconds)
      return undefined
    })
    await askToken(broker, world.workload, { audience: name, scope }).catch(() => undefined)
    const { status } = await askToken(broker, world.workload, { audience: name, scope })
    if (status !== 200) faults.push(`stopped for ${seconds} s within a mint: ${status}`)
  }
  say(`stopped within ${stoppedSecondsEach.length} mints, for 1 to 30 s: ${faults.length} of them harmed`)
  await broker.stop()
  return faults
}

async function killInRotation(world: TestWorld, say: Say): Promise<readonly string[]> {
  const soak = openRotationSoak(world)
  const faults: string[] = []
  let broker = await world.yard.start(soak.settings)
  for (const [index, point] of killPoints.entries()) {
    const survived = await killOnce(soak, { broker, point, name: `killed-${index}` })
    broker = survived.broker
    if (survived.fault !== undefined) faults.push(`killed while ${point.name}: ${survived.fault}`)
  }
  world.google.tune({ keyUploadDisabled: false })
  say(`killed at ${killPoints.length} steps of a rotation: ${faults.length} of them harmed`)
  const killed = faults.length
  for (const [index, point] of killPoints.entries()) {
    const stoppedSeconds = stoppedSecondsEach[index % stoppedSecondsEach.length]
    const { fault } = await killOnce(soak, { broker, point, name: `stopped-${index}`, stoppedSeconds })
    if (fault !== undefined) faults.push(`stopped for ${stoppedSeconds} s while ${point.name}: ${fault}`)
  }
  world.google.tune({ keyUploadDisabled: false })
  say(
    `stopped at ${killPoints.length} steps of a rotation, for 1 to 30 s: ${faults.length - killed} of them harmed`,
  )
  await broker.stop()
  return faults
}

const lockSeconds = 20

/** Tokens in memory are served all the while, others are refused in time, and afterwards all is as before. */
async function holdLock(world: TestWorld, say: Say): Promise<readonly string[]> {
  const path = join(world.folder, 'locked.db')
  const broker = await world.yard.start(
    world.settings([world.rule('kept', [scope]), world.rule('missed', [scope])], {
      DOWNSCOPE_STORE: `sqlite:${path}`,
      DOWNSCOPE_LOG_LEVEL: 'error',
    }),
  )
  await world.enrolAccount(broker, 'kept')
  await world.enrolAccount(broker, 'missed')
  const ask = (audience: string) => askToken(broker, world.workload, { audience, scope })
  await ask('kept')
  const holder = new DatabaseSync(path, { timeout: 10_000 })
  holder.exec('BEGIN IMMEDIATE')
  const hits: Answer[] = []
  const misses: Answer[] = []
  const endMs = performance.now() + lockSeconds * 1_000
  const keepAsking = async (audience: string, answers: Answer[]): Promise<void> => {
    while (performance.now() < endMs) {
      answers.push(await ask(audience))
      await wait(100)
    }
  }
  await Promise.all([keepAsking('kept', hits), keepAsking('missed', misses), keepAsking('missed', misses)])
  holder.exec('ROLLBACK')
  holder.close()
  const after = await until('a token comes again', async () => (await ask('missed')).status === 200).catch(
    String,
  )
  await broker.stop()
  const slowest = (answers: readonly Answer[]) => Math.round(Math.max(...answers.map(({ tookMs }) => tookMs)))
  const served = hits.filter(({ status }) => status === 200).length
  say(
    `another process held the lock for ${lockSeconds} s: ${served} of ${hits.length} tokens in memory served, the slowest after ${slowest(hits)} ms; ${misses.length} others answered, the slowest after ${slowest(misses)} ms; afterwards served: ${after === true}`,
  )
  return [
    ...(served < hits.length ? [`${hits.length - served} tokens in memory were not served`] : []),
    ...[...hits, ...misses]
      .filter(({ tookMs }) => tookMs > answerMsMax)
      .map(({ tookMs }) => `an answer beside a held lock took ${Math.round(tookMs)} ms`),
    ...(after === true ? [] : [`after the lock was released: ${after}`]),
  ]
}

/** A file system of two megabytes, which only root can make. */
async function fillDisk(world: TestWorld, say: Say): Promise<readonly string[]> {
  const folder = join(world.folder, 'small')
  mkdirSync(folder)
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status === 0
  if (!isMounted) {
    say('a full disk: not tried, for nobody but root can make a small one')
    return []
  }
  try {
    return await fillSmallDisk(world, folder, say)
  } finally {
    await world.yard.close()
    spawnSync('umount', [folder])
  }
}

async function fillSmallDisk(world: TestWorld, folder: string, say: Say): Promise<readonly string[]> {
  const broker = await world.yard.start(
    world.settings([world.rule('kept', [scope])], {
      DOWNSCOPE_STORE: `sqlite:${join(folder, 'store.db')}`,
      DOWNSCOPE_LOG_LEVEL: 'error',
    }),
  )
  await world.enrolAccount(broker, 'kept')
  const ask = () => askToken(broker, world.workload, { audience: 'kept', scope })
  const before = await ask()
  spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=64k'])
  const faults: string[] = []
  const hit = await ask()
  if (hit.status !== 200 || before.status !== 200)
    faults.push(`a token in memory with a full disk: ${hit.status}`)
  const enrolled = await world.enrolAccount(broker, 'late').then(
    () => 'enrolled',
    (error: unknown) => String(error),
  )
  if (enrolled === 'enrolled') faults.push('something was enrolled on a full disk')
  const ready = await until('it is not ready', async () => {
    const { status } = await send(`${broker.url}/readyz`, {})
    return status !== 200 && status
  }).catch((error: unknown) => String(error))
  if (ready !== 503) faults.push(`/readyz with a full disk: ${ready}`)
  spawnSync('rm', [join(folder, 'filler')])
  const after = await until(
    'it is ready again',
    async () => (await send(`${broker.url}/readyz`, {})).status === 200,
  ).catch(String)
  if (after !== true) faults.push(`after the disk had space again: ${after}`)
  say(`a full disk: a token in memory ${hit.status}, readiness ${ready}, afterwards ready: ${after === true}`)
  await broker.stop()
  return faults
}

/** A pipe takes 64 KiB: then every audit record waits, and no token may leave without one. */
async function leaveOutputUnread(world: TestWorld, say: Say): Promise<readonly string[]> {
  const port = await freePort()
  const settings = world.settings([world.rule('kept', [scope])], { PORT: String(port) })
  const child = spawn(process.execPath, [join(repository, 'src/cloud-run.ts')], {
    cwd: repository,
    env: settings,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const broker = { url: `http://127.0.0.1:${port}` }
  const faults: string[] = []
  try {
    await until(
      'it is ready',
      async () => (await send(`${broker.url}/readyz`, {}).catch(() => undefined))?.status === 200,
      { ms: 60_000 },
    )
    await world.enrolAccount(broker, 'kept')
    const ask = () =>
      askToken(broker, world.workload, { audience: 'kept', scope }).catch((error: unknown) => ({
        status: String(error),
        tookMs: Infinity,
      }))
    const statuses: Record<string, number> = {}
    let slowestMs = 0
    for (let round = 0; round < 10; round += 1)
      for (const { status, tookMs } of await Promise.all(Array.from({ length: 40 }, ask))) {
        statuses[status] = (statuses[status] ?? 0) + 1
        slowestMs = Math.max(slowestMs, tookMs)
      }
    const alive = await send(`${broker.url}/healthz`, {}).then(({ status }) => status, String)
    if (slowestMs > answerMsMax)
      faults.push(`with its output unread an answer took ${Math.round(slowestMs)} ms`)
    if (alive !== 200) faults.push(`with its output unread /healthz: ${alive}`)
    child.stdout.resume()
    const again = await until('tokens come again', async () => (await ask()).status === 200).catch(String)
    if (again !== true) faults.push(`after its output was read: ${again}`)
    say(
      `output unread: ${JSON.stringify(statuses)}, the slowest after ${Math.round(slowestMs)} ms, healthz ${alive}, tokens afterwards: ${again === true}`,
    )
  } finally {
    child.kill('SIGKILL')
  }
  return faults
}
