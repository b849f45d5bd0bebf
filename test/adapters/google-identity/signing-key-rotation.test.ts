import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { type BrokerKeys, createSignAssertion } from '../../../src/adapters/google-identity/signing-keys.ts'
import { extendSigningKeys } from '../../../src/compose/keys.ts'
import { parseJsonObject } from '../../../src/domain/json.ts'
import { epochSeconds, later, seconds, type EpochSeconds } from '../../../src/domain/time.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { createSequence } from '../../support/sequence.ts'
import { createPrivateJwk, poolProvider as provider, readKeys } from '../../support/signing-key-set.ts'

const issuer = 'https://tokens.acme.example'
const start = epochSeconds(1_800_000_000)
const minute = 60
const day = 86_400

let first: Readonly<Record<string, unknown>>
let second: Readonly<Record<string, unknown>>

beforeAll(async () => {
  first = await createPrivateJwk('first')
  second = await createPrivateJwk('second', 'RS256')
})

describe('which key signs', () => {
  const at = (time: EpochSeconds) => ({ ...second, nbf: time })

  test('without times the first, wherever a new one stands', async () => {
    expect(await kidOf(readKeys(first, second))).toBe('first')
    expect(await kidOf(readKeys(second, first))).toBe('second')
  })

  test('a key with a time is published before it signs, and signs from that second on', async () => {
    const clock = createFakeClock(start)
    const keys = readKeys(first, at(later(start, seconds(day))))
    const sign = signer(keys, clock)

    expect(keys.map(({ published }) => published.kid)).toEqual(['first', 'second'])
    await clock.advance(day * 1000 - 1)
    expect(kidIn(await sign())).toBe('first')
    await clock.advance(1)
    expect(kidIn(await sign())).toBe('second')
  })

  test('of several whose time has come the latest, in whatever order they stand', async () => {
    const third = { ...first, kid: 'third', nbf: start }

    expect(await kidOf(readKeys(third, at(epochSeconds(start - 1)), first))).toBe('third')
    expect(await kidOf(readKeys(first, at(epochSeconds(start - 1)), third))).toBe('third')
  })

  test('while none may sign yet, the one that may soonest: the broker is never without an identity', async () => {
    const third = { ...first, kid: 'third', nbf: start + 10 }

    expect(await kidOf(readKeys(at(epochSeconds(start + 20)), third))).toBe('third')
  })

  test('what is published says nothing of times', () => {
    expect(readKeys(at(start))[0].published).not.toHaveProperty('nbf')
  })

  test('the time stays with the key when another is added', async () => {
    const extended = await extendSigningKeys(JSON.stringify({ keys: [first, at(start)] }), 'ES256', start)
    const keys = extended.ok ? (parseJsonObject(extended.value)?.['keys'] ?? []) : []

    expect(keys).toMatchObject([{ kid: 'first' }, { kid: 'second', nbf: start }, { nbf: start + 1 }])
  })
})

/** An instance runs with these keys from a moment on; a deployment reaches the instances one after the other. */
interface Deployment {
  readonly atMinute: number
  readonly instance: 'a' | 'b'
  readonly keys: () => BrokerKeys
}

describe('a rotation as docs/keyless.md tells it', () => {
  const signsFrom = start + day
  const old = () => readKeys(first)
  const both = () => readKeys(first, { ...second, nbf: signsFrom })
  const fresh = () => readKeys({ ...second, nbf: signsFrom })
  const steps = (removedAtMinute: number): readonly Deployment[] => [
    { atMinute: 0, instance: 'a', keys: old },
    { atMinute: 0, instance: 'b', keys: old },
    { atMinute: 30, instance: 'a', keys: both },
    { atMinute: 45, instance: 'b', keys: both },
    { atMinute: removedAtMinute, instance: 'a', keys: fresh },
    { atMinute: removedAtMinute + 15, instance: 'b', keys: fresh },
  ]

  test('whatever is signed verifies with what any instance published ten minutes before, and from then on', async () => {
    const { checked, refused, kids } = await play(steps(day / minute + 60))

    expect(refused).toEqual([])
    expect(checked).toBeGreaterThan(1000)
    expect([...kids]).toEqual(['first', 'second'])
  })

  test('and with what was published hours before, as an uploaded copy has it', async () => {
    const { refused } = await play(steps(day / minute + 60), 20 * 60)

    expect(refused).toEqual([])
  })

  test('a new key that signs as soon as it is there would be refused (positive control)', async () => {
    const atOnce = () => readKeys(second, first)
    const { refused } = await play([
      { atMinute: 0, instance: 'a', keys: old },
      { atMinute: 0, instance: 'b', keys: old },
      { atMinute: 30, instance: 'a', keys: atOnce },
      { atMinute: 35, instance: 'b', keys: atOnce },
    ])

    expect(refused.length).toBeGreaterThan(0)
  })
})

/** Signs on both instances every five minutes, and verifies with what both published so long before. */
async function play(deployments: readonly Deployment[], publishedMinutesBefore = 10) {
  const clock = createFakeClock(start)
  const end = Math.max(...deployments.map(({ atMinute }) => atMinute)) + 60
  const running = new Map<string, BrokerKeys>()
  const signers = new Map<string, () => Promise<string>>()
  const published = new Map<number, readonly BrokerKeys[]>()
  const refused: string[] = []
  const kids = new Set<unknown>()
  let checked = 0
  for (let now = 0; now <= end; now += 5) {
    for (const { instance, keys } of deployments.filter(({ atMinute }) => atMinute === now)) {
      running.set(instance, keys())
      signers.set(instance, signer(keys(), clock))
    }
    published.set(now, [...running.values()])
    for (const [instance, sign] of signers) {
      const jwt = await sign()
      kids.add(kidIn(jwt))
      for (const keys of published.get(now - publishedMinutesBefore) ?? []) {
        checked += 1
        if (!(await verifies(jwt, keys, clock))) refused.push(`${instance} at minute ${now}`)
      }
    }
    await clock.advance(5 * minute * 1000)
  }
  return { checked, refused, kids }
}

function signer(keys: BrokerKeys, clock: FakeClock): () => Promise<string> {
  const sign = createSignAssertion({ keys, issuer, provider, clock, entropy: createSequence() })
  return async () => (await sign()).reveal()
}

async function verifies(jwt: string, keys: BrokerKeys, clock: FakeClock): Promise<boolean> {
  const set = createLocalJWKSet({ keys: keys.map(({ published }) => ({ ...published })) })
  const verified = jwtVerify(jwt, set, { issuer, currentDate: new Date(clock.now() * 1000) })
  return verified.then(
    () => true,
    () => false,
  )
}

async function kidOf(keys: BrokerKeys): Promise<unknown> {
  return kidIn(await signer(keys, createFakeClock(start))())
}

function kidIn(jwt: string): unknown {
  return decodeProtectedHeader(jwt).kid
}
