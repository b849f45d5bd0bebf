import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { inTestWorld } from './proof.ts'

const perSecond = 200
const tickMs = 50
const beforeMs = 5_000
/** What is promised (P26). */
const graceMs = 10_000
const afterMs = graceMs + 5_000
const scope = scopeOf('drive.readonly')

/** A way to switch tokens off, and the credentials whose tokens go on being served. */
interface Switch {
  readonly name: string
  readonly act: string
  readonly body?: object
  readonly back?: string
}

/**
 * Two brokers over one store serve 200 requests a second together from memory; then a credential is revoked, a caller
 * blocked, the service stopped. Ten seconds after each no token comes of it any more, on either.
 */
export const proveRevoke = inTestWorld(run)

async function run(world: TestWorld, say: (line: string) => void): Promise<readonly string[]> {
  const settings = world.settings(
    ['revoked', 'kept'].map((name) => world.rule(name, [scope])),
    { DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`, DOWNSCOPE_LOG_LEVEL: 'error' },
  )
  const brokers = [await world.yard.start(settings), await world.yard.start(settings)] as const
  const file = await world.enrolGrant(brokers[0], 'revoked', { scopes: [scope] })
  await world.enrolGrant(brokers[0], 'kept', { scopes: [scope] })
  const caller = { issuer: world.workload.issuer, subject: world.workload.subject }
  const switches: readonly (Switch & { readonly credential: string })[] = [
    { name: 'a credential revoked', credential: 'revoked', act: 'credentials/revoked:revoke' },
    {
      name: 'a caller blocked',
      credential: 'kept',
      act: 'callers:revoke',
      body: caller,
      back: 'callers:restore',
    },
    { name: 'the service stopped', credential: 'kept', act: 'service:stop', back: 'service:resume' },
  ]
  const faults: string[] = []
  for (const one of switches) {
    const found = await prove(world, brokers, one)
    say(`${one.name}: ${found.summary}`)
    faults.push(...found.faults.map((fault) => `${one.name}: ${fault}`))
    if (one.back !== undefined) await post(world, brokers[0], one.back, one.body)
    await wait(graceMs)
  }
  const { state } = world.google.grant(file.refresh_token) ?? { state: 'unknown' }
  if (state !== 'revoked') faults.push(`the refresh token is ${state} upstream`)
  await Promise.all(brokers.map((broker) => broker.stop()))
  return faults
}

interface Seen {
  readonly status: number
  /** Since the switch was pulled; negative before. */
  readonly answeredMs: number
}

async function prove(
  world: TestWorld,
  brokers: readonly [BrokerProcess, BrokerProcess],
  { act, body, credential }: Switch & { readonly credential: string },
): Promise<{ readonly summary: string; readonly faults: readonly string[] }> {
  const jwt = await world.workload.jwt()
  const caller = { ...world.workload, jwt: async () => jwt }
  const seen: { readonly status: number; readonly atMs: number }[] = []
  const asking: Promise<void>[] = []
  const ask = async (index: number): Promise<void> => {
    const answer = await askToken(brokers[index % 2 === 0 ? 0 : 1], caller, { audience: credential, scope })
    seen.push({ status: answer.status, atMs: performance.now() })
  }
  let pulledMs = Infinity
  const pull = async (): Promise<void> => {
    const { status, text } = await post(world, brokers[0], act, body)
    if (status !== 200) throw new Error(`${act}: ${status} ${text}`)
    pulledMs = performance.now()
  }

  const startedMs = performance.now()
  let pulling: Promise<void> | undefined
  for (let sent = 0, sinceMs = 0; sinceMs < beforeMs + afterMs; sinceMs = performance.now() - startedMs) {
    // By the clock and not by the tick: a late tick makes up for itself.
    for (; sent < (sinceMs / 1000) * perSecond; sent += 1) asking.push(ask(sent))
    if (sinceMs >= beforeMs) pulling ??= pull()
    await wait(tickMs)
  }
  await Promise.all([pulling, ...asking])
  const relative = seen.map(({ status, atMs }): Seen => ({ status, answeredMs: atMs - pulledMs }))
  return judge(relative)
}

function judge(seen: readonly Seen[]): { readonly summary: string; readonly faults: readonly string[] } {
  const before = seen.filter(({ answeredMs }) => answeredMs < 0)
  const late = seen.filter(({ answeredMs }) => answeredMs > graceMs)
  const lastServedMs = Math.max(...seen.filter(({ status }) => status === 200).map((one) => one.answeredMs))
  const refused = before.filter(({ status }) => status !== 200).length
  const served = late.filter(({ status }) => status === 200).length
  const wanted = ((beforeMs + afterMs) / 1000) * perSecond
  return {
    summary:
      `${seen.length} requests, ${before.length} before, ${late.length} later than 10 s; ` +
      `the last token came after ${(lastServedMs / 1000).toFixed(1)} s`,
    faults: [
      ...(seen.length < wanted * 0.95 ? [`only ${seen.length} of ${wanted} requests were sent`] : []),
      ...(before.length === 0 || refused > 0 ? [`${refused} of ${before.length} were refused before`] : []),
      ...(late.length === 0 ? ['nothing was asked after 10 s'] : []),
      ...(served > 0 ? [`${served} tokens were served after 10 s`] : []),
    ],
  }
}

function post(world: TestWorld, broker: BrokerProcess, path: string, body: object | undefined) {
  return administer(broker, world.ops, { method: 'POST', path, ...(body === undefined ? {} : { body }) })
}
