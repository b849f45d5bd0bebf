import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { GoogleStandIn } from '../../test/support/google/stand-in.ts'
import { createCaller, type BenchCaller } from './callers.ts'
import { brokerIssuer, credentialName, scope } from './names.ts'
import { startServer, type ServerCommand, type ServerPlace, type ServerProcess } from './server-process.ts'

/** What the brokers of one run have in common. */
export interface BrokerWorld {
  readonly google: GoogleStandIn
  /** Signs its own assertions, each good for one use; administers too. */
  readonly once: BenchCaller
  /** A workload whose tokens may come again. */
  readonly workload: BenchCaller
  readonly place: ServerPlace
  /** The value of DOWNSCOPE_KEYS. */
  readonly keys: string
  readonly emulatorHost: string | undefined
}

/** A broker with one credential enrolled. */
export interface BrokerProcess extends ServerProcess {
  /** How often it asked upstream for a token so far. */
  upstreamCalls(): number
}

export const brokerFile = join(import.meta.dirname, '../../dist/cloud-run.js')

/** In every audit record of a token that was given out. */
export const issuedMarker = '"outcome":"issued"'

export function createBrokerWorld(world: Omit<BrokerWorld, 'once' | 'workload' | 'keys'>): BrokerWorld {
  return {
    ...world,
    once: createCaller('billing'),
    workload: createCaller('https://cluster.bench.example', 'system:serviceaccount:reports:exporter'),
    keys: `bench:${randomBytes(32).toString('base64')}`,
  }
}

export interface BrokerOptions {
  readonly name: string
  readonly store: string
  readonly nodeArgs?: readonly string[]
  /** More members of the enrolment. */
  readonly options?: object
  /** More settings. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts the built broker as it is deployed, waits until it is ready, and enrols a service-account key. */
export async function startBroker(world: BrokerWorld, options: BrokerOptions): Promise<BrokerProcess> {
  const { name, store, nodeArgs = [], options: more } = options
  const env = { ...brokerEnvironment(world, store), ...options.env }
  return enrolIn(world, { name, args: [...nodeArgs, brokerFile], env }, more)
}

/** Starts a broker by that command, waits until it is ready, and enrols a service-account key. */
export async function enrolIn(
  world: BrokerWorld,
  command: ServerCommand,
  options: object = {},
): Promise<BrokerProcess> {
  const { name } = command
  const server = await startServer(command, world.place, isBrokerReady)
  const account = await world.google.createServiceAccount()
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.once.assertion()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: credentialName, secret: account, ...options }),
  })
  if (response.status !== 201)
    throw new Error(`${name} refuses to enrol: ${response.status} ${await response.text()}`)
  return {
    ...server,
    upstreamCalls: () => world.google.calls.count({ credential: account.client_email }),
  }
}

/** The settings of a broker on that store. */
export function brokerEnvironment(world: BrokerWorld, store: string): Readonly<Record<string, string>> {
  return {
    DOWNSCOPE_ISSUER: brokerIssuer,
    // One caller asks as often as it can.
    DOWNSCOPE_CALLER_RATE: '0',
    DOWNSCOPE_STORE: store,
    DOWNSCOPE_KEYS: world.keys,
    DOWNSCOPE_POLICY_YAML: policy(world),
    // The Firestore SDK asks the metadata server for a project even beside an emulator.
    METADATA_SERVER_DETECTION: 'none',
    ...(world.emulatorHost === undefined ? {} : { FIRESTORE_EMULATOR_HOST: world.emulatorHost }),
    ...world.google.endpoints,
  }
}

function policy({ once, workload }: BrokerWorld): string {
  const issuer = { algorithms: ['ES256'], lifetime_seconds_max: 3600 }
  const callers = [once, workload].map((caller) => ({ issuer: nameOf(caller), subject: caller.subject }))
  return JSON.stringify({
    version: 1,
    issuers: [
      { name: nameOf(once), issuer: once.issuer, self_issued: true, keys: keysOf(once), ...issuer },
      {
        name: nameOf(workload),
        issuer: workload.issuer,
        replay: 'allowed',
        keys: keysOf(workload),
        ...issuer,
      },
    ],
    rules: [{ name: 'the bench reads reports', callers, credential: credentialName, scopes: [scope] }],
    admins: [{ callers: [{ issuer: nameOf(once), subject: once.subject }], role: 'admin' }],
  })
}

function nameOf({ issuer }: BenchCaller): string {
  return issuer.replace(/^https:\/\//, '')
}

function keysOf({ publicJwk }: BenchCaller): object {
  return { jwks: { keys: [publicJwk] } }
}

async function isBrokerReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}
