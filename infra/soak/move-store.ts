import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { createFirestoreSdkStore } from '../../src/adapters/firestore/sdk/firestore-sdk-store.ts'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys, parseLocalKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { createSqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { createEntropy, createSystemClock } from '../../src/adapters/system/clock-and-entropy.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createCredentials } from '../../src/records/credentials.ts'
import { plainEnvironment, repository, runProgram } from '../../test/support/run-node.ts'
import type { BrokerSettings } from '../../test/support/spawn-broker.ts'
import { findEmulator, startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import { assertionForm, post } from '../../test/support/test-broker/ask.ts'
import { firestoreSettings, scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { inTestWorld, type Proof } from './proof.ts'

const scope = scopeOf('devstorage.read_only')

/**
 * 10,000 credentials go from SQLite to Firestore by `downscope store export` and `store import`, each killed twice by
 * `kill -9` on the way, and a broker on the new store gives a token of every one.
 */
export const proveMoveStore: Proof = async (say) => {
  const emulator = await startFirestoreEmulator(findEmulator(), { heapMb: 1024 })
  try {
    return await inTestWorld((world, told) =>
      moveStore(world, { many: 10_000, oneOf: 1, kills: [0.3, 0.6], host: emulator.host }, told),
    )(say)
  } finally {
    await emulator.stop()
  }
}

export interface Move {
  /** At least 300: a part of an export has 150 documents, and there must be one that an export goes on after. */
  readonly many: number
  /** Of each so many credentials, one is asked for a token. */
  readonly oneOf: number
  /** After which shares of the work a command is killed. */
  readonly kills: readonly number[]
  /** Of the Firestore emulator. */
  readonly host: string
}

/** What was not as promised. */
export async function moveStore(
  world: TestWorld,
  { many, host, oneOf, kills }: Move,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const names = Array.from({ length: many }, (_, index) => `sa-${String(index).padStart(5, '0')}`)
  const settings = world.settings([], { DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'many.db')}` })
  await enrolAll(world, names)
  say(`${many} credentials enrolled`)

  const file = join(world.folder, 'many.jsonl')
  const partBytes = async () => {
    const part = (await readdir(world.folder)).find((name) => name.endsWith('.part'))
    return part === undefined ? 0 : (await stat(join(world.folder, part))).size
  }
  const exporting = ['store', 'export', file, '--json']
  const bytesOfOne = 2_000
  for (const share of kills)
    await killOnce(exporting, settings, async () => (await partBytes()) > share * many * bytesOfOne)
  const kept = await partBytes()
  const exported = await runCommand(exporting, settings)
  say(`exported, killed on the way; ${kept} octets were there already when it went on`)

  const target = { ...settings, ...firestoreSettings(host) }
  const firestore = createFirestoreSdkStore({
    projectId: (target['DOWNSCOPE_STORE'] ?? '').replace('firestore://', ''),
    databaseId: '(default)',
    emulatorHost: host,
    clock: createSystemClock(),
  })
  const has = (name: string) => async () =>
    (await patiently(() => firestore.store.get(`credentials/${name}`))) !== undefined
  const importing = ['store', 'import', file, '--json', '--resume']
  for (const share of kills) await killOnce(importing, target, has(names[Math.floor(share * many)] ?? ''))
  const imported = await runCommand(importing, target)
  await firestore.close()
  say('imported, killed on the way')
  const wanted = names.filter((_, index) => index % oneOf === 0)
  const asked = await askForAll(world, { names: wanted, settings: target })
  say(`${asked.issued} tokens of ${wanted.length} credentials`)

  return [
    ...(kept > 0 ? [] : ['the export was not gone on with']),
    ...(exported.documents === many ? [] : [`${exported.documents} documents were exported`]),
    ...(imported.digest === exported.digest ? [] : ['the digests differ']),
    ...(imported.stopped === false ? [] : ['the service is stopped']),
    ...asked.refused.slice(0, 5),
    ...(asked.issued === wanted.length ? [] : [`${asked.issued} tokens`]),
  ]
}

/** Each with the same key, which the stand-in knows: 10,000 keys would take minutes to generate. */
async function enrolAll(world: TestWorld, names: readonly string[]): Promise<void> {
  const clock = createSystemClock()
  const { store, close } = createSqliteStore({ path: join(world.folder, 'many.db'), clock })
  const key = await world.google.createServiceAccount()
  const credentials = openCredentials(store, world.keys)
  for (const name of names)
    await credentials.add({
      name,
      upstream: 'google',
      identity: key.client_email,
      keyId: key.private_key_id,
      secret: {
        kind: 'service_account_key',
        clientEmail: key.client_email,
        keyId: key.private_key_id,
        privateKey: new Secret(key.private_key),
      },
    })
  close()
}

function openCredentials(store: DocumentStore, keys: string) {
  const reading = parseLocalKeys(keys)
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  const keyRing = createKeyRing([createLocalRingKeys(reading.value)])
  const onMalformed = () => undefined
  return createCredentials({
    store,
    clock: createSystemClock(),
    keyRing,
    entropy: createEntropy(),
    onMalformed,
  })
}

/** Runs the command until `isThere`, and kills it. Throws when it ended before. */
async function killOnce(
  args: readonly string[],
  settings: BrokerSettings,
  isThere: () => Promise<boolean>,
): Promise<void> {
  const child = spawn(process.execPath, [join(repository, 'infra/downscope.mjs'), ...args], {
    env: { ...plainEnvironment(), ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  let hasEnded = false
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true
      resolve()
    })
  })
  await until(
    `${args.slice(0, 2).join(' ')} is in the middle`,
    async () => {
      if (hasEnded) throw new Error(`it ended too soon: ${said}`)
      return isThere()
    },
    { ms: 300_000 },
  )
  child.kill('SIGKILL')
  await ended
}

const outcome = z.object({
  collections: z.object({ credentials: z.object({ documents: z.number(), digest: z.string() }) }),
  stopped: z.optional(z.boolean()),
})

async function runCommand(args: readonly string[], settings: BrokerSettings) {
  const { status, stdout, stderr } = await runProgram(
    process.execPath,
    [join(repository, 'infra/downscope.mjs'), ...args],
    { cwd: repository, env: settings },
  )
  if (status !== 0) throw new Error(`${args.join(' ')}: ${status} ${stderr}`)
  const { collections, stopped } = outcome.parse(JSON.parse(stdout))
  return { ...collections.credentials, stopped }
}

/** A policy has one rule for each credential and a megabyte at most: several brokers, one after the other. */
const rulesMax = 2_500
const atOnce = 8

async function askForAll(
  world: TestWorld,
  { names, settings }: { readonly names: readonly string[]; readonly settings: BrokerSettings },
): Promise<{ readonly issued: number; readonly refused: readonly string[] }> {
  let issued = 0
  const refused: string[] = []
  for (let from = 0; from < names.length; from += rulesMax) {
    const some = names.slice(from, from + rulesMax)
    const policy = join(world.folder, `policy-${from}.yaml`)
    writeFileSync(policy, world.policy(some.map((name) => world.rule(name, [scope]))))
    const { DOWNSCOPE_POLICY_YAML: _, ...rest } = settings
    const broker = await world.yard.start({ ...rest, DOWNSCOPE_POLICY: policy, DOWNSCOPE_LOG_LEVEL: 'warn' })
    const queue = [...some]
    const work = async () => {
      for (let audience = queue.pop(); audience !== undefined; audience = queue.pop()) {
        const answer = await post(broker, await assertionForm(world.billing, { audience, scope }))
        if (answer.status === 200) issued += 1
        else refused.push(`${audience}: ${answer.status} ${answer.text}`)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await broker.stop()
  }
  return { issued, refused }
}

/** The emulator answers slowly while a process that was killed is still cleared away. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isBrokerError(error) || error.code !== 'store_unavailable') throw error
    }
  }
}
