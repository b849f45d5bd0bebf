import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Behaviour } from '../../support/google/behaviour.ts'
import type { AuthorizedUserFile } from '../../support/google/refresh-grants.ts'
import type { BrokerProcess, BrokerSettings } from '../../support/spawn-broker.ts'
import { administer, askToken, exchangeForm, post, type Answer } from '../../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../../support/test-broker/test-world.ts'
import { until } from '../../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')
const options = { timeout: 180_000 }
/** An answer that is lost however slow the machine is. */
const never = Infinity

/** Each grant is asked for again when the lease of the killed process is over. */
export function describeRotation(): void {
  describe.concurrent('a rotating refresh token', () => {
    test(
      'P16: after kill -9 at any point each grant is served on, or its loss is told',
      options,
      async (t) => {
        // By credential: Google's answer comes after that long, and the first ones arrive before the kill.
        const delays = [1, 60, 150, 250, 400, 600, 1200, 1600, 2000, never]
        const names = delays.map((_, index) => `rotating-${index}`)
        const { world, settings } = await openWorld(t.onTestFinished, [...names, 'unheard'])
        const first = await world.yard.start(settings)
        const files = new Map<string, AuthorizedUserFile>()
        for (const [index, name] of [...names, 'unheard'].entries()) {
          const reuseDetection = index % 2 === 1
          files.set(
            name,
            await world.enrolGrant(first, name, { scopes: [mail, drive], rotating: true, reuseDetection }),
          )
        }
        const byGrant = new Map(
          names.map((name, index) => [files.get(name)?.refresh_token, delays[index] ?? 0]),
        )
        world.google.script.token.always(({ credential }): Behaviour => {
          const delayMs = byGrant.get(credential)
          if (delayMs === undefined || delayMs === never) return { do: 'hang', processed: delayMs === never }
          return { do: 'slow', delayMs }
        })

        const answered = new Set<string>()
        const asked = [...files.keys()].map(async (name) => {
          const answer = await askToken(first, world.workload, { audience: name, scope: mail }).catch(
            () => undefined,
          )
          if (answer?.status === 200) answered.add(name)
        })
        await until('some are answered', () => answered.size >= 4)
        await until('all are asked for', () => {
          const calls = world.google.calls.where({ grant: 'refresh_token' })
          return new Set(calls.map(({ credential }) => credential)).size === files.size
        })
        await first.kill9()
        await Promise.all(asked)
        world.google.clearScripts()

        const second = await world.yard.start(settings)
        const outcomes = await Promise.all(
          [...files].map(async ([name, { refresh_token: token }]) => {
            const outcome = await untilDecided(second, world, name)
            const health = await healthOf(second, world, name)
            return { name, outcome, health, grant: world.google.grant(token)?.state }
          }),
        )
        for (const { name, outcome, health, grant } of outcomes) {
          if (outcome.status === 200) {
            expect({ name, health, grant }).toMatchObject({ health: { status: 'healthy' }, grant: 'live' })
            continue
          }
          // Lost, and told: to the caller's operator by request id, and in the credential's health.
          expect({ name, wasAnswered: answered.has(name) }).toEqual({ name, wasAnswered: false })
          expect(outcome.body['error']).toBe('invalid_target')
          const told = { reason: matching(/a rotation was interrupted .* enrol again/) }
          expect(await second.auditOf(outcome.requestId)).toMatchObject(told)
          expect(health).toMatchObject({ status: 'broken', ...told })
        }
        // Positive controls: the answer of one never came, and Google never acted on another.
        const lost = outcomes.filter(({ outcome }) => outcome.status === 400)
        expect(lost.length).toBeGreaterThanOrEqual(1)
        expect(outcomes.find(({ name }) => name === 'unheard')?.outcome.status).toBe(200)
      },
    )

    test.each([
      ['its caller waits', false],
      ['its caller has hung up', true],
    ])(
      'P16: SIGTERM during its refresh while %s: it is stored, and the exit code is 0',
      options,
      async (_, hangsUp) => {
        const finished: (() => Promise<void>)[] = []
        const { world, settings } = await openWorld((clean) => finished.push(clean), ['slow'])
        try {
          const first = await world.yard.start(settings)
          const file = await world.enrolGrant(first, 'slow', { scopes: [mail, drive], rotating: true })
          world.google.script.token.next(1, { do: 'slow', delayMs: 2000 })
          const hangUp = new AbortController()
          const form = await exchangeForm(world.workload, { audience: 'slow', scope: mail })
          const asked = fetch(`${first.url}/v1/token`, {
            method: 'POST',
            body: new URLSearchParams(form),
            signal: hangUp.signal,
          }).then(
            (response) => response.status,
            () => undefined,
          )
          await until('Google is asked', () => world.google.calls.count({ endpoint: 'token' }) === 1)
          if (hangsUp) hangUp.abort()
          if (hangsUp) await asked
          const startedMs = performance.now()
          await first.stop()

          expect(performance.now() - startedMs).toBeLessThan(7_500)
          expect(await asked).toBe(hangsUp ? undefined : 200)
          expect(world.google.grant(file.refresh_token)).toMatchObject({ rotations: 1 })
          const second = await world.yard.start(settings)
          const next = await askToken(second, world.workload, { audience: 'slow', scope: drive })
          expect(next).toMatchObject({ status: 200 })
          expect(world.google.grant(file.refresh_token)).toMatchObject({ state: 'live', rotations: 2 })
        } finally {
          for (const clean of finished) await clean()
        }
      },
    )

    test(
      'P16: its answer that comes while the process is paused is taken, and it is not sent again',
      options,
      async (t) => {
        const { world, settings } = await openWorld(t.onTestFinished, ['paused'])
        const broker = await world.yard.start(settings)
        const file = await world.enrolGrant(broker, 'paused', {
          scopes: [mail, drive],
          rotating: true,
          reuseDetection: true,
        })
        world.google.script.token.next(1, { do: 'slow', delayMs: 1000 })
        const asked = askToken(broker, world.workload, { audience: 'paused', scope: mail })
        await until('Google is asked', () => world.google.calls.count({ endpoint: 'token' }) === 1)
        // Longer than any deadline of the broker: its timers are due before it looks at its sockets again.
        broker.pause()
        await new Promise((resolve) => setTimeout(resolve, 11_000))
        broker.resume()

        expect(await asked).toMatchObject({ status: 200 })
        expect(world.google.calls.count({ endpoint: 'token' })).toBe(1)
        const next = await askToken(broker, world.workload, { audience: 'paused', scope: drive })
        expect(next).toMatchObject({ status: 200 })
        expect(world.google.grant(file.refresh_token)).toMatchObject({ state: 'live', rotations: 2 })
      },
    )

    test('P17: one invalid_grant marks nothing, and the credential serves on', options, async (t) => {
      const { world, settings } = await openWorld(t.onTestFinished, ['grant'])
      const broker = await world.yard.start(settings)
      await world.enrolGrant(broker, 'grant', { scopes: [mail, drive], rotating: true })
      world.google.script.token.next(1, { do: 'refuse', as: 'grant_revoked' })
      const answer = await askToken(broker, world.workload, { audience: 'grant', scope: mail })

      expect(answer).toMatchObject({ status: 200 })
      expect(await healthOf(broker, world, 'grant')).toMatchObject({ status: 'healthy' })

      world.google.script.token.next(2, { do: 'refuse', as: 'grant_revoked' })
      const refused = await askToken(broker, world.workload, { audience: 'grant', scope: drive })
      expect(refused.body['error']).toBe('invalid_target')
      expect(await healthOf(broker, world, 'grant')).toMatchObject({ status: 'broken' })
      const again = await until('the failure is forgotten', async () => {
        const { status } = await askToken(broker, world.workload, { audience: 'grant', scope: drive })
        return status === 200
      })
      expect(again).toBe(true)
    })

    test('outlives a restart together with the tokens made from it', options, async (t) => {
      const { world, settings } = await openWorld(t.onTestFinished, ['grant'])
      const first = await world.yard.start(settings)
      await world.enrolGrant(first, 'grant', { scopes: [mail, drive], rotating: true })
      const parameters = { audience: 'grant', scope: mail }
      const before = await askToken(first, world.workload, parameters)
      await first.stop()
      const second = await world.yard.start(settings)
      const after = await post(second, await exchangeForm(world.workload, parameters))

      expect(before).toMatchObject({ status: 200 })
      expect(after.token).toBe(before.token)
      expect(await second.auditOf(after.requestId)).toMatchObject({ source: 'store' })
      expect(world.google.calls.count({ endpoint: 'token' })).toBe(1)
    })
  })
}

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

async function openWorld(
  onFinished: (clean: () => Promise<void>) => void,
  credentials: readonly string[],
): Promise<{ readonly world: TestWorld; readonly settings: BrokerSettings }> {
  const world = await createTestWorld()
  onFinished(() => world.close())
  const rules = credentials.map((name) => world.rule(name, [mail, drive]))
  const store = `sqlite:${join(world.folder, 'store.db')}`
  return { world, settings: world.settings(rules, { DOWNSCOPE_STORE: store }) }
}

/** The first answer that is not "later", for a token that nobody asked for before. */
function untilDecided(broker: BrokerProcess, world: TestWorld, name: string): Promise<Answer> {
  return until(
    `a decision on ${name}`,
    async () => {
      const answer = await askToken(broker, world.workload, { audience: name, scope: drive })
      return answer.status !== 503 && answer
    },
    { pauseMs: 500 },
  )
}

async function healthOf(broker: BrokerProcess, world: TestWorld, name: string): Promise<unknown> {
  const answer = await administer(broker, world.ops, { method: 'GET', path: `credentials/${name}` })
  return answer.body['health']
}
