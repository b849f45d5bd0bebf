import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { readRules } from '../../infra/monitoring/cloud-monitoring.ts'
import type { BrokerProcess, BrokerSettings } from '../support/spawn-broker.ts'
import { administer, askToken, exchangeForm, post } from '../support/test-broker/ask.ts'
import { createTestWorld, newKey, scopeOf } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const [mail, drive] = [scopeOf('gmail.readonly'), scopeOf('drive.readonly')]

async function scrape(broker: BrokerProcess): Promise<string> {
  const { port } = await until('the port of metrics', () =>
    broker.lines().find(({ message }) => message === 'metrics are served'),
  )
  return await (await fetch(`http://127.0.0.1:${Number(port)}/metrics`)).text()
}

/** The values of what the rule of an alert asks for first: its name, and each of its labels `=` or `!=` a text. */
function valuesOf(expr: string, text: string): readonly number[] {
  const [, name = '', matchers = ''] = /(downscope_\w+)(?:\{([^}]*)\})?/.exec(expr) ?? []
  const wanted = [...matchers.matchAll(/(\w+)(!?)=("[^"]*")/g)]
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) =>
      wanted.every(([, label, not, value]) => line.includes(`${label}=${value}`) === (not === '')),
    )
    .map((line) => Number(line.split(' ').at(-1)))
}

/** Whether an alert has something to fire by, in what one broker shows. */
const raises: Readonly<Record<string, (values: readonly number[]) => boolean>> = {
  DownscopeCredentialBroken: (values) => values.includes(0),
  DownscopeCredentialEndsSoon: (values) => values.some((seconds) => seconds < 7 * 86_400),
}

/** `infra/monitoring/alerts.test.yaml` says that each alert fires by these series; this, that the faults make them. */
test(
  'what each alert asks for is moved by the fault it is for, and by nothing else',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    const [policy, store] = [join(world.folder, 'policy.json'), join(world.folder, 'store.db')]
    const rules = ['sa', 'dying', 'ending'].map((name) => world.rule(name, [mail, drive]))
    writeFileSync(policy, world.policy(rules))
    const start = (more: BrokerSettings = {}) =>
      world.yard.start(
        world.settings([], {
          DOWNSCOPE_POLICY: policy,
          DOWNSCOPE_STORE: `sqlite:${store}`,
          DOWNSCOPE_AUDIT: 'stdout+store',
          DOWNSCOPE_METRICS_PORT: '0',
          ...more,
        }),
      )
    const [broker, calm, locked] = await Promise.all([
      start(),
      start(),
      start({ DOWNSCOPE_KEYS: newKey('k1') }),
    ])
    const ask = async (audience: string, scope = mail, of = broker) =>
      (await askToken(of, world.workload, { audience, scope })).status
    const admin = async (path: string) =>
      (await administer(broker, world.ops, { method: 'POST', path, body: {} })).status
    await world.enrolAccount(broker, 'sa')
    const { refresh_token: dying } = await world.enrolGrant(broker, 'dying', { scopes: [mail, drive] })
    await world.enrolGrant(broker, 'ending', { scopes: [mail, drive] })
    expect([await ask('sa', mail, calm), await ask('sa', mail, calm)]).toEqual([200, 200])
    const before = await scrape(calm)

    // Cached hits, whose time is measured.
    expect([await ask('sa'), await ask('sa')]).toEqual([200, 200])
    // A consent that ends in six days, and one that was withdrawn.
    world.google.script.token.next(1, { do: 'amend', members: { refresh_token_expires_in: 6 * 86_400 } })
    expect(await ask('ending')).toBe(200)
    world.google.setGrantState(dying, 'revoked')
    await ask('dying')
    await ask('dying', drive)
    // A key that cannot be listed, much less created.
    expect(await admin('credentials/sa:rotate')).toBe(200)
    expect(await admin('maintenance:run')).toBe(200)
    // A wrong JWT.
    expect(
      (await post(broker, { ...(await exchangeForm(world.workload, {})), subject_token: 'x' })).status,
    ).toBe(400)
    // An upstream that is down.
    await world.google.goDown()
    expect(await ask('sa', drive)).toBe(503)
    // A key ring without the key.
    expect(await ask('ending', drive, locked)).toBe(503)
    // A policy that cannot be read.
    writeFileSync(`${policy}.new`, 'no policy')
    renameSync(`${policy}.new`, policy)
    await until('the policy is refused', async () => {
      await ask('sa')
      return valuesOf('downscope_policy_faults', await scrape(broker)).includes(1)
    })
    // A store that is broken, and with it the audit trail.
    const file = new DatabaseSync(store)
    file.exec('DROP TABLE documents')
    file.close()
    expect(await ask('sa')).toBe(503)
    const after = `${await scrape(broker)}${await scrape(locked)}`

    const isRaised = ({ alert, expr }: { readonly alert: string; readonly expr: string }, text: string) =>
      (raises[alert] ?? ((values) => values.some((value) => value > 0)))(valuesOf(expr, text))
    const all = readRules()
    expect(all.filter((rule) => isRaised(rule, before)).map(({ alert }) => alert)).toEqual([
      'DownscopeLatency',
    ])
    expect(all.filter((rule) => !isRaised(rule, after)).map(({ alert }) => alert)).toEqual([])
  },
)
