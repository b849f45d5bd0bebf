import { expect, it } from 'vitest'
import * as z from 'zod'
import { createBrokerWorld, type BrokerWorld } from '../support/broker-world.ts'

const policyShown = z.object({ document: z.string() })
const shown = z.object({ rules: z.tuple([z.looseObject({})]) })

/** `team` with a rule for each name, and a credential of each name but `absent`. */
async function createRefusalWorld(): Promise<BrokerWorld> {
  const world = await createBrokerWorld()
  const { document } = policyShown.parse(
    await (await world.call('GET /v1/admin/policy', { as: 'ops' })).json(),
  )
  const policy: unknown = JSON.parse(document)
  const [team] = shown.parse(policy).rules
  const rules = ['team', 'absent', 'disabled', 'revoked'].map((name) => ({ ...team, name, credential: name }))
  const body = { ...z.looseObject({}).parse(policy), rules }
  for (const name of ['team', 'disabled', 'revoked', 'forbidden']) await world.enrol(name)
  await world.call('POST /v1/admin/credentials/disabled:disable', { as: 'ops' })
  await world.call('POST /v1/admin/credentials/revoked:revoke', { as: 'ops' })
  const applied = await world.call('PUT /v1/admin/policy', {
    as: 'ops',
    headers: { 'if-match': '"first"' },
    body,
  })
  expect(applied.status).toBe(200)
  const person = { issuer: 'reports', subject: 'reports' }
  const blocked = await world.call('POST /v1/admin/callers:revoke', { as: 'ops', body: person })
  expect(blocked.status).toBe(200)
  return world
}

/** What is asked of the store from here on; that a token was given is noted after its answer, whenever that is. */
function watch({ store }: BrokerWorld): { readonly operations: readonly string[] } {
  const operations: string[] = []
  store.before = async (operation, key) => {
    if (!key.startsWith('usage/')) operations.push(`${operation} ${key.replace(/\/.*/, '')}`)
  }
  return { operations }
}

it('P12: every refusal costs as many reads and writes of the store as every other', async () => {
  const world = await createRefusalWorld()
  const costOf = async (target: string, person: 'billing' | 'reports' = 'billing') => {
    const at = world.addInstance()
    // Of the policy and the blocks, which every request looks at.
    expect((await world.ask(at)).status).toBe(200)
    const { operations } = watch(world)
    const answers = [await world.ask(at, person, target), await world.ask(at, person, target)]
    // What is kept for `explain` is written after the answer.
    await world.clock.advance(0)
    const texts = await Promise.all(answers.map((answer) => answer.text()))
    return {
      operations: [...operations],
      bodies: texts.map((text) => text.replaceAll(/[0-9a-f-]{36}/g, 'ID')),
    }
  }

  const forbidden = await costOf('forbidden')
  // The second time what is known of a name is a moment old.
  expect(forbidden.operations).toEqual([
    'put replays',
    'get credentials',
    'put refusals',
    'put replays',
    'put refusals',
  ])
  for (const target of ['never-heard-of', 'absent', 'disabled', 'revoked'])
    expect({ target, ...(await costOf(target)) }).toEqual({ target, ...forbidden })
  // A caller who is blocked.
  expect(await costOf('never-heard-of', 'reports')).toEqual(forbidden)
})

it('P12: what may not be had is looked for as what is not there, and remembered as long', async () => {
  const world = await createRefusalWorld()
  await world.ask()
  const { operations } = watch(world)
  await world.ask(0, 'billing', 'forbidden')
  await world.ask(0, 'billing', 'forbidden')
  await world.ask(0, 'billing', 'forbidden-too')

  expect(operations.filter((operation) => operation === 'get credentials')).toHaveLength(2)
  // Positive control: what may be had is known here.
  expect((await world.ask()).status).toBe(200)
  expect(operations.filter((operation) => operation === 'get credentials')).toHaveLength(2)
})
