import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import type { BrokerProcess, BrokerSettings } from '../support/spawn-broker.ts'
import { reach } from '../support/boundaries.ts'
import { administer, askToken, assertionForm, post, send } from '../support/test-broker/ask.ts'
import type { TestCaller } from '../support/test-broker/callers.ts'
import { dumpEmulator, dumpFolder } from '../support/test-broker/store-dump.ts'
import {
  createTestWorld,
  firestoreSettings,
  scopeOf,
  type TestWorld,
} from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const [mail, drive, tasks, calendar] = [
  scopeOf('gmail.readonly'),
  scopeOf('drive.readonly'),
  scopeOf('tasks'),
  scopeOf('calendar'),
] as const
const storage = scopeOf('devstorage.read_only')
/** The name of a credential: it must be found wherever secrets are looked for. */
const needle = 'needle-in-a-haystack'

interface Place {
  readonly more: BrokerSettings
  readonly dump: () => Promise<string>
}

const places: Readonly<Record<string, (world: TestWorld) => Place>> = {
  sqlite: ({ folder }) => {
    const place = join(folder, 'sqlite')
    mkdirSync(place)
    return {
      more: { DOWNSCOPE_STORE: `sqlite:${join(place, 'store.db')}` },
      dump: async () => dumpFolder(place),
    }
  },
  ...(emulatorHost === undefined
    ? {}
    : {
        firestore: () => {
          const more = firestoreSettings(emulatorHost)
          const project = more['DOWNSCOPE_STORE']?.slice('firestore://'.length) ?? ''
          return { more, dump: () => dumpEmulator(emulatorHost, project) }
        },
      }),
}

describe.concurrent('after successes, failures, administration and a crash', () => {
  for (const [store, placeIn] of Object.entries(places))
    test(
      `P23: no secret is in any output at debug level, nor in plain in the store (${store})`,
      { timeout: 180_000 },
      async ({ onTestFinished }) => {
        const world = await createTestWorld()
        onTestFinished(() => world.close())
        const { more, dump } = placeIn(world)
        const rules = [
          ...['grant', needle].map((name) => world.rule(name, [mail, drive, tasks, calendar])),
          world.rule('sealed', [storage], { boundary: [reach()] }),
        ]
        const settings = world.settings(rules, { ...more, DOWNSCOPE_AUDIT: 'stdout+store' })
        const first = await world.yard.start(settings)
        const { secrets, callers } = await live(world, first)
        await first.kill9()
        const second = await world.yard.start(settings)
        await askToken(second, callers.workload, { audience: needle, scope: mail })
        const stored = await dump()
        await second.stop()

        const said = [first, second].map((broker) => broker.stdout() + broker.stderr()).join('\n')
        const all = [...secrets(), ...world.google.tokens().map(({ value }) => value)]
        // Positive controls: there is much to look for, and what is there is found.
        expect(all.length).toBeGreaterThanOrEqual(40)
        expect(world.google.tokens().map(({ kind }) => kind)).toContain('intermediary')
        expect(all.every((secret) => secret.length >= 16)).toBe(true)
        expect(said).toContain(needle)
        expect(stored).toContain(needle)
        expect(all.filter((secret) => formsOf(secret).some((form) => said.includes(form)))).toEqual([])
        expect(all.filter((secret) => formsOf(secret).some((form) => stored.includes(form)))).toEqual([])
      },
    )
})

/** A life with everything in it, and all secrets that took part. */
async function live(world: TestWorld, broker: BrokerProcess) {
  const jwts: string[] = []
  const recorded = (caller: TestCaller): TestCaller => ({
    ...caller,
    jwt: async (change) => {
      const jwt = await caller.jwt(change)
      jwts.push(jwt)
      return jwt
    },
  })
  const callers = {
    billing: recorded(world.billing),
    workload: recorded(world.workload),
    ops: recorded(world.ops),
  }
  const grant = { scopes: [mail, drive, tasks, calendar], rotating: true }
  const file = await world.enrolGrant(broker, 'grant', grant)
  const account = await world.enrolAccount(broker, needle)
  const ask = (audience: string, scope: string) => askToken(broker, callers.workload, { audience, scope })

  await ask('grant', mail)
  await ask(needle, mail)
  const reports = await world.google.createServiceAccount()
  const sealed = { name: 'sealed', secret: reports, bounded_locally: true, accept_unproved: true }
  await administer(broker, callers.ops, { method: 'POST', path: 'credentials', body: sealed })
  await ask('sealed', storage)
  const form = await assertionForm(callers.billing, { audience: needle, scope: mail })
  await Promise.all([post(broker, form), post(broker, form), post(broker, { ...form, scope: 'no scope "' })])
  await post(broker, { ...form, client_assertion: `${form['client_assertion']}x` })
  await post(broker, { ...form, grant_type: form['client_assertion'] ?? '' })

  // An upstream that repeats what it was sent.
  world.google.script.token.always(({ params }) => ({
    do: 'refuse',
    as: 'grant_unknown',
    description: `not ${String(params['refresh_token'])} ${String(params['client_secret'])} ${String(params['assertion'])}`,
  }))
  await ask('grant', drive)
  await ask(needle, drive)
  world.google.script.token.always({ do: 'truncate' })
  await ask(needle, tasks)
  world.google.clearScripts()

  const admin = {
    method: 'POST',
    path: 'credentials',
    body: { name: 'bad', secret: { ...account, type: 'x' } },
  }
  await administer(broker, callers.ops, admin)
  await administer(broker, callers.ops, {
    ...admin,
    body: { name: 'bad', secret: { ...account, private_key: account.private_key.slice(0, 900) } },
  })
  await administer(broker, callers.workload, { method: 'GET', path: 'credentials' })
  await administer(broker, callers.ops, { method: 'GET', path: `credentials/${needle}` })
  await send(`${broker.url}/v1/token?subject_token=${form['client_assertion']}`, { method: 'POST' })

  world.google.script.token.always({ do: 'slow', delayMs: 5_000 })
  const asked = world.google.calls.count()
  void ask('grant', calendar).catch(() => undefined)
  await until('a refresh is on its way', () => world.google.calls.count() > asked)

  const secrets = (): readonly string[] => {
    const sent = world.google.calls
      .all()
      .flatMap(({ params }) => [params['refresh_token'], params['assertion']])
    return [
      world.keys.slice('k1:'.length),
      file.client_secret,
      file.refresh_token,
      world.google.grant(file.refresh_token)?.current ?? '',
      ...account.private_key.split('\n').filter((line) => line.length === 64),
      ...sent.filter((value) => typeof value === 'string'),
      ...world.google.sessionKeys(),
      ...jwts,
      ...jwts.map((jwt) => jwt.split('.')[2] ?? ''),
    ]
  }
  return { secrets, callers }
}

/** As it is, and as it would be in base64, hex, a URL or JSON. */
function formsOf(secret: string): readonly string[] {
  const octets = Buffer.from(secret)
  return [
    secret,
    octets.toString('base64').replace(/=+$/, ''),
    octets.toString('base64url'),
    octets.toString('hex'),
    encodeURIComponent(secret),
    Buffer.from(secret, 'base64').toString('hex'),
  ]
}
