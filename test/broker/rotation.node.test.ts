import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startBrokerPair, type BrokerPair } from '../support/broker-pair.ts'

let world: BrokerPair
let file: Awaited<ReturnType<BrokerPair['google']['createServiceAccount']>>

beforeEach(async () => {
  world = await startBrokerPair()
  file = await world.google.createServiceAccount()
  world.google.allowKeyAdministration(file.client_email, file.client_email)
  const [broker] = world.brokers
  const enrolled = await world.administer(broker, 'POST credentials', { name: 'reports-sa', secret: file })
  expect(enrolled.status).toBe(201)
  await world.clock.advance(3600_000)
})
afterEach(() => world.close())

const rotate = () => world.administer(world.brokers[0], 'POST credentials/reports-sa:rotate')
const read = async () => (await world.administer(world.brokers[0], 'GET credentials/reports-sa')).body

/** So many requests to both brokers, at once; every status that they got. */
async function wave(count: number, jwt: string): Promise<readonly number[]> {
  const answers = Array.from({ length: count }, (_, index) =>
    world.ask(world.brokers[index % 2 === 0 ? 0 : 1], 'reports-sa', jwt),
  )
  return (await world.settle(Promise.all(answers))).map(({ status }) => status)
}

describe('P28: a rotation while 50 requests a second come to two instances', () => {
  test('fails none of them, and at its end the old key is gone upstream', { timeout: 60_000 }, async () => {
    world.google.tune({ keyPropagation: 20, listLag: 5 })
    const jwt = await world.callerJwt()
    const statuses = new Map<number, number>()
    const versions = new Set<unknown>()
    let isOver = false
    expect((await rotate()).status).toBe(200)
    // Ten minutes and more at full load would take the test as long as all the others: where nothing changes, less.
    for (let second = 0; !isOver; second += 1) {
      const isBusy = second < 60 || second % 30 === 0 || second > 640
      for (const status of await wave(isBusy ? 50 : 2, jwt))
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      await world.clock.advance(1000)
      if (second % 10 === 0) {
        const { version, rotation } = await read()
        versions.add(version)
        isOver = rotation === undefined
      }
      expect(second).toBeLessThan(900)
    }
    await world.clock.advance(86_400_000)
    const maintained = await world.settle(world.brokers[1].maintain())

    expect([...statuses.keys()]).toEqual([200])
    expect(statuses.get(200)).toBeGreaterThan(4000)
    expect(versions.size).toBe(2)
    expect(maintained.removed).toHaveLength(1)
    const { key_id: keyId } = await read()
    expect(world.google.keysOf(file.client_email)).toEqual([{ id: keyId, disabled: false }])
    expect(keyId).not.toBe(file.private_key_id)
  })
})

describe('P28: a key that is enrolled under two names', () => {
  test('is switched off and deleted upstream when both of them have another, and not before', async () => {
    const [broker] = world.brokers
    await world.administer(broker, 'POST credentials', { name: 'team-calendar', secret: file })
    await rotate()
    const run = async (times: number) => {
      for (let count = 0; count < times; count += 1) {
        await world.settle(broker.maintain())
        await world.clock.advance(700_000)
      }
    }
    await run(6)
    expect(JSON.stringify(await read())).toContain('is in use by credential team-calendar too')
    const isOldOn = () =>
      world.google
        .keysOf(file.client_email)
        .some(({ id, disabled }) => id === file.private_key_id && !disabled)
    expect(isOldOn()).toBe(true)
    await world.clock.advance(86_400_000)
    expect((await world.settle(broker.maintain())).faults).toMatchObject([
      {
        task: 'removal',
        credential: 'reports-sa',
        reason: expect.stringContaining('is kept for credential team-calendar') as string,
      },
    ])
    expect(isOldOn()).toBe(true)

    await world.administer(broker, 'POST credentials/team-calendar:rotate')
    await run(8)
    expect(isOldOn()).toBe(false)
    expect((await read())['rotation']).toBeUndefined()
    const oldKeys = () =>
      world.google.keysOf(file.client_email).filter(({ id }) => id === file.private_key_id)
    expect(oldKeys()).toHaveLength(1)
    await world.clock.advance(86_400_000)
    const { removed, faults } = await world.settle(broker.maintain())
    expect([removed.length, faults, oldKeys()]).toEqual([2, [], []])
  })
})

describe('P26: a version that is disabled', () => {
  test('takes its tokens with it, on the other instance too, within 10 s', async () => {
    const [one, two] = world.brokers
    const jwt = await world.callerJwt()
    await rotate()
    for (let second = 0; second < 30; second += 1) await world.settle(one.maintain())
    await world.settle(one.settled())
    const { version, versions } = await read()
    const { access_token: before } = (await world.ask(two, 'reports-sa', jwt)).body
    expect(Array.isArray(versions) && versions.length).toBe(2)

    const disabled = await world.administer(
      one,
      `POST credentials/reports-sa/versions/${String(version)}:disable`,
    )
    expect(disabled.status).toBe(200)
    await world.clock.advance(10_000)
    const { body } = await world.ask(two, 'reports-sa', jwt)
    expect(body['access_token']).toBeDefined()
    expect(body['access_token']).not.toBe(before)
    expect(world.records.at(-1)?.credentialVersion).toBe(disabled.body['version'])
  })
})

describe('with DOWNSCOPE_ROTATION_IDENTITY=broker', () => {
  test("keys are rotated by the broker's own identity, and the account needs no right over itself", async () => {
    let own = ''
    const other = await startBrokerPair(async (google) => {
      const account = await google.createServiceAccount()
      own = account.client_email
      return {
        DOWNSCOPE_ROTATION_IDENTITY: 'broker',
        DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(account),
      }
    })
    const secret = await other.google.createServiceAccount()
    other.google.allowKeyAdministration(own, secret.client_email)
    const [broker] = other.brokers
    await other.administer(broker, 'POST credentials', { name: 'reports-sa', secret })
    await other.administer(broker, 'POST credentials/reports-sa:rotate')
    // It goes on by itself, as fast as the stand-in answers.
    const step = async () => {
      const { body } = await other.administer(broker, 'GET credentials/reports-sa')
      return /"step":"(\w+)"/.exec(JSON.stringify(body['rotation']))?.[1]
    }
    await expect.poll(step, { timeout: 8_000 }).toBe('overlap')
    const revoked = await other.administer(broker, 'POST credentials/reports-sa:revoke')
    expect(revoked.body).toMatchObject({ local: 'done', upstream: 'done' })
    expect(other.google.keysOf(secret.client_email).map(({ disabled }) => disabled)).toEqual([true, true])
    await other.close()
  })
})
