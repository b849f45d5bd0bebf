import { env } from 'cloudflare:workers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createDurableObjectStore } from '../../src/adapters/durable-object/durable-object-store.ts'
import { createSystemClock } from '../../src/adapters/system/clock-and-entropy.ts'
import { createWorkerBroker } from '../../src/compose/worker-broker.ts'
import { epochSeconds } from '../../src/domain/time.ts'

const key = `k1:${btoa('k'.repeat(32))}`

/** The bindings of a Worker that is set up right, with a store of its own. */
function bindings(more: Readonly<Record<string, unknown>> = {}) {
  return {
    DOCUMENTS: env.DOCUMENTS,
    DOWNSCOPE_ISSUER: 'https://tokens.acme.example',
    DOWNSCOPE_KEYS: key,
    DOWNSCOPE_POLICY_YAML: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
    DOWNSCOPE_STORE: `sqlite:${crypto.randomUUID()}`,
    ...more,
  }
}

function keepLines(): readonly string[] {
  const lines: string[] = []
  const spy = vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)))
  onTestFinished(() => spy.mockRestore())
  return lines
}

const ask = (path: string): Request => new Request(`https://tokens.acme.example${path}`)

describe('the broker of an isolate', () => {
  test('is ready with its documents in a Durable Object', async () => {
    keepLines()

    const answer = await createWorkerBroker(bindings()).serve(ask('/readyz'))

    expect(await answer.json()).toEqual({ status: 'ok', store: 'ok', key_ring: 'ok', policy: 'ok' })
  })

  test('with faulty settings answers 503 everywhere and logs every fault once, without a secret', async () => {
    const lines = keepLines()
    const secret = 'k1:bm90IGEga2V5'
    const broker = createWorkerBroker(
      bindings({ DOWNSCOPE_ISSUER: undefined, DOWNSCOPE_KEYS: secret, DOWNSCOPE_POLICY: '/etc/policy' }),
    )

    const answers = await Promise.all(
      ['/v1/token', '/healthz', '/readyz'].map(async (path) => broker.serve(ask(path))),
    )

    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    expect(lines).toHaveLength(1)
    const { faults } = JSON.parse(lines[0] ?? '')
    expect(faults).toMatchObject([
      { setting: 'DOWNSCOPE_ISSUER' },
      { setting: 'DOWNSCOPE_KEYS' },
      { setting: 'DOWNSCOPE_POLICY' },
      { setting: 'DOWNSCOPE_POLICY' },
    ])
    const said = `${lines.join('')}${(await Promise.all(answers.map((answer) => answer.text()))).join('')}`
    expect(said).not.toContain('bm90IGEga2V5')
    await expect(broker.maintain()).resolves.toBeUndefined()
  })

  test('that Workers cannot serve is out of service and says why', async () => {
    const lines = keepLines()
    const broker = createWorkerBroker(bindings({ DOWNSCOPE_STORE: 'firestore://acme-tokens' }))

    expect((await broker.serve(ask('/readyz'))).status).toBe(503)
    expect(lines.join()).toMatch(/no metadata server/)
  })

  test('tidies: what expired long ago is gone from the object, and what lives stays', async () => {
    keepLines()
    const set = bindings()
    const clock = createSystemClock()
    const name = set.DOWNSCOPE_STORE.slice('sqlite:'.length)
    const store = createDurableObjectStore({ connect: () => env.DOCUMENTS.getByName(name), clock })
    const longAgo = epochSeconds(clock.now() - 7200)
    await store.put('replays/old', {}, { expiresAt: longAgo })
    await store.put('credentials/a', {})

    await createWorkerBroker(set).maintain()

    const expiresBefore = epochSeconds(clock.now() + 1)
    expect(await store.list({ prefix: 'replays/', expiresBefore, limit: 9 })).toEqual([])
    expect(await store.get('credentials/a')).toBeDefined()
  })
})
