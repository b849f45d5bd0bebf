import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import type { BrokerEnd, BrokerSettings } from '../support/spawn-broker.ts'
import { send } from '../support/test-broker/ask.ts'
import { createTestWorld, firestoreSettings, type TestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const options = { timeout: 180_000 }

let world: TestWorld

beforeAll(async () => {
  world = await createTestWorld()
  return () => world.close()
}, 180_000)

describe.concurrent('a broker that cannot start', () => {
  test('names every wrong setting at once, none of their values, and exits with 1', options, async () => {
    const secret = 'hunter2hunter2hunter2'
    const { end, stderr, stdout } = await refusal({
      DOWNSCOPE_ISSUER: `https://user:${secret}@tokens.acme.example/`,
      DOWNSCOPE_STORE: `postgres://${secret}`,
      DOWNSCOPE_KEYS: `k1:${secret}`,
      DOWNSCOPE_KEY_RING: secret,
      DOWNSCOPE_LOG_LEVEL: secret,
      DOWNSCOPE_POLICY: 'policy.yaml',
      DOWNSCOPE_POLICY_YAML: secret,
      DOWNSCOPE_ISUER: secret,
      DOWNSCOPE_AUDIT_DAYS: secret,
      FIRESTORE_EMULATOR_HOST: '127.0.0.1',
    })

    expect(end).toEqual({ code: 1, signal: null })
    for (const name of [
      'ISSUER',
      'STORE',
      'KEYS',
      'KEY_RING',
      'LOG_LEVEL',
      'POLICY_YAML',
      'ISUER',
      'AUDIT_DAYS',
    ])
      expect(stderr).toContain(`DOWNSCOPE_${name} `)
    expect(stderr).toContain('FIRESTORE_EMULATOR_HOST ')
    expect(stderr + stdout).not.toContain(secret)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('without any setting says what is needed', options, async () => {
    const { end, stderr } = await refusal({})

    expect(end).toEqual({ code: 1, signal: null })
    expect(stderr).toMatch(/DOWNSCOPE_ISSUER/)
    expect(stderr).toMatch(/DOWNSCOPE_KEYS/)
  })

  const stores: Readonly<Record<string, () => BrokerSettings>> = {
    memory: () => ({}),
    sqlite: () => ({ DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'port.db')}` }),
    ...(emulatorHost === undefined ? {} : { firestore: () => firestoreSettings(emulatorHost) }),
  }
  for (const [store, more] of Object.entries(stores))
    test(`because its port is taken says so and exits with 1 (${store})`, options, async () => {
      const taken = createServer()
      await new Promise<void>((resolve) => taken.listen(0, resolve))
      const address = taken.address()
      const port = typeof address === 'object' ? String(address?.port) : ''
      const { end, stderr } = await refusal(world.settings([], { ...more(), PORT: port }))
      taken.close()

      expect(end).toEqual({ code: 1, signal: null })
      expect(stderr).toMatch(/does not start: .*EADDRINUSE/)
      expect(stderr).not.toMatch(/^\s+at /m)
    })

  const files: Readonly<
    Record<string, { readonly make: (path: string) => string; readonly reason: RegExp }>
  > = {
    'is a database of something else': {
      make: (path) => {
        const database = new DatabaseSync(path)
        database.exec('CREATE TABLE theirs (id INTEGER)')
        database.close()
        return path
      },
      reason: /belongs to another application/,
    },
    'is no database': {
      make: (path) => {
        writeFileSync(path, 'not a database, but longer than a header of one hundred bytes. '.repeat(40))
        return path
      },
      reason: /not an SQLite database/,
    },
    'cannot be made': {
      make: (path) => {
        writeFileSync(path, '')
        return join(path, 'store.db')
      },
      reason: /cannot be opened/,
    },
  }
  for (const [what, { make, reason }] of Object.entries(files))
    test(`because its file ${what} says so and exits with 1`, options, async () => {
      const path = make(join(world.folder, `${what.replaceAll(' ', '-')}.db`))
      const { end, stderr } = await refusal(world.settings([], { DOWNSCOPE_STORE: `sqlite:${path}` }))

      expect(end).toEqual({ code: 1, signal: null })
      expect(stderr).toMatch(reason)
      expect(stderr).not.toMatch(/^\s+at /m)
    })

  test('P25: with a broken policy is alive and not ready, and gives no token', options, async () => {
    const broker = await world.yard.launch(
      world.settings([], { DOWNSCOPE_POLICY_YAML: 'version: 1\nruels: []\n' }),
    )
    const alive = await until('it is alive', () => send(`${broker.url}/healthz`, {}).catch(() => undefined))
    const ready = await send(`${broker.url}/readyz`, {})

    expect([alive.status, ready.status]).toEqual([200, 503])
    expect(ready.body).toMatchObject({ policy: 'fault', store: 'ok', key_ring: 'ok' })
    expect(broker.stdout()).toContain('did you mean \\"rules\\"?')
    await broker.stop()
  })
})

describe.concurrent('a broker that is told to end', () => {
  test('ends at once with 0, whatever idle connections there are', options, async () => {
    const broker = await world.yard.start(world.settings([]))
    await Promise.all(Array.from({ length: 5 }, () => send(`${broker.url}/healthz`, {})))
    const startedMs = performance.now()
    await broker.stop()

    // Not after the 8 s that draining may take.
    expect(performance.now() - startedMs).toBeLessThan(8_000)
    const messages = broker.lines().map(({ message }) => message)
    expect(messages).toContain('draining')
    expect(messages.at(-1)).toBe('stopped')
    expect(broker.lines().every((line) => line['unparsed'] === undefined)).toBe(true)
  })

  test('answers a request of which half had come', options, async () => {
    const broker = await world.yard.start(world.settings([]))
    const socket = connect(broker.port, '127.0.0.1')
    const answer = text(socket)
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n')
    // The half has been read when an answer to what was sent later has come.
    await send(`${broker.url}/healthz`, {})
    broker.terminate()
    await until('it drains', () => broker.lines().some(({ message }) => message === 'draining'))
    socket.write('Connection: close\r\n\r\n')

    expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(await broker.ended).toEqual({ code: 0, signal: null })
  })
})

test(
  'P23: a bug that nobody caught ends the process with 1, and its text is in no output',
  options,
  async () => {
    const bug = "process.on('SIGUSR2', () => { throw new Error('hunter' + 2) })"
    const broker = await world.yard.start({
      ...world.settings([]),
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bug)}`,
    })
    process.kill(broker.pid, 'SIGUSR2')

    expect(await broker.ended).toEqual({ code: 1, signal: null })
    expect(broker.lines().map(({ message }) => message)).toContain('a bug ended the process')
    expect(`${broker.stdout()}${broker.stderr()}`).not.toContain('hunter2')
  },
)

interface Refusal {
  readonly end: BrokerEnd
  readonly stderr: string
  readonly stdout: string
}

async function refusal(settings: BrokerSettings): Promise<Refusal> {
  const broker = await world.yard.launch(settings)
  const end = await until('it ends by itself', () => Promise.race([broker.ended, pause()]))
  return { end, stderr: broker.stderr(), stdout: broker.stdout() }
}

function pause(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, 100, undefined))
}
