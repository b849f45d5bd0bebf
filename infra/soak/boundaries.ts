import { reach, under } from '../../test/support/boundaries.ts'
import { startBrokerPair, type BrokerPair } from '../../test/support/broker-pair.ts'
import type { Proof } from './proof.ts'

const boundaries = 10_000
/** They come within an hour, by the clock that stands still until it is told to move. */
const stepMs = 250
const scope = 'https://www.googleapis.com/auth/devstorage.read_only'
const said = { progress: 2_500 }

/**
 * Two brokers over one store, in this process, seal 10,000 distinct boundaries within an hour after one exchange; with
 * the Security Token Service down for ten minutes they go on; and ten seconds after the credential is disabled neither
 * gives anything more, and what was sealed behind is in no store.
 */
export const proveBoundaries: Proof = async (say) => {
  const rule = {
    name: 'it',
    callers: [{ issuer: 'platform', subject: 'caller' }],
    credential: 'it',
    scopes: [scope],
    boundary: [reach({ availabilityCondition: under('team/') })],
  }
  const world = await startBrokerPair({}, { rules: [rule] })
  try {
    const secret = await world.google.createServiceAccount()
    const body = { name: 'it', secret, bounded_locally: true, accept_unproved: true }
    await world.administer(world.brokers[0], 'POST credentials', body)
    return [...(await sealMany(world, say)), ...(await outliveSts(world)), ...(await disable(world))]
  } finally {
    await world.close()
  }
}

async function ask(world: BrokerPair, folder: string, at: number) {
  const options = JSON.stringify({
    accessBoundary: { accessBoundaryRules: [reach({ availabilityCondition: under(`team/${folder}/`) })] },
  })
  const { status, body } = await world.ask(world.brokers[at === 0 ? 0 : 1], 'it', await world.callerJwt(), {
    options,
  })
  return { status, token: String(body['access_token']) }
}

async function sealMany(world: BrokerPair, say: (line: string) => void): Promise<readonly string[]> {
  const tokens = new Set<string>()
  let wrong = 0
  for (let index = 0; index < boundaries; index += 1) {
    const { status, token } = await ask(world, `f${index}`, index % 2)
    const object = `team/f${index}/x`
    const mayRead = await world.google.mayDo(token, {
      permission: 'storage.objects.get',
      bucket: 'reports',
      object,
    })
    if (status !== 200 || !mayRead) wrong += 1
    tokens.add(token)
    await world.clock.advance(stepMs)
    if (index % said.progress === said.progress - 1) say(`${index + 1} boundaries`)
  }
  const calls = world.google.calls.count({ grant: 'token-exchange' })
  say(`${tokens.size} tokens of ${boundaries} boundaries at two brokers, ${calls} exchange(s)`)
  const faults = wrong === 0 ? [] : [`${wrong} boundaries gave no token that may read its own folder`]
  if (tokens.size !== boundaries) faults.push(`only ${tokens.size} different tokens`)
  if (calls !== 1) faults.push(`${calls} exchanges in place of one`)
  return faults
}

async function outliveSts(world: BrokerPair): Promise<readonly string[]> {
  world.google.script.sts.always({ do: 'unavailable', status: 503 })
  const faults: string[] = []
  for (let minute = 0; minute < 10; minute += 1) {
    await world.clock.advance(30_000)
    for (const at of [0, 1]) {
      const { status } = await ask(world, `down-${minute}`, at)
      if (status !== 200) faults.push(`${status} in minute ${minute} without the Security Token Service`)
    }
    await world.clock.advance(30_000)
  }
  world.google.clearScripts()
  return faults
}

async function disable(world: BrokerPair): Promise<readonly string[]> {
  const kept = async () => (await world.store.list({ prefix: 'tokens/intermediary@', limit: 10 })).length
  await ask(world, 'last', 0)
  const faults = (await kept()) === 1 ? [] : ['no intermediary token was in the store']
  await world.administer(world.brokers[0], 'POST credentials/it:disable')
  if ((await kept()) !== 0) faults.push('the intermediary token stayed in the store')
  await world.clock.advance(10_000)
  for (const at of [0, 1])
    if ((await ask(world, 'last', at)).status !== 400) faults.push(`broker ${at} goes on after 10 s`)
  const before = world.google.calls.count({ grant: 'token-exchange' })
  await world.administer(world.brokers[0], 'POST credentials/it:enable')
  await world.clock.advance(10_000)
  await ask(world, 'again', 1)
  if (world.google.calls.count({ grant: 'token-exchange' }) !== before + 1)
    faults.push('an intermediary token stayed in memory')
  return faults
}
