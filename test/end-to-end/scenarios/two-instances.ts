import { beforeAll, describe, expect, inject, test } from 'vitest'
import type { BrokerProcess } from '../../support/spawn-broker.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { administer, askToken, assertionForm, post, type Answer } from '../../support/test-broker/ask.ts'
import {
  createTestWorld,
  firestoreSettings,
  scopeOf,
  type TestWorld,
} from '../../support/test-broker/test-world.ts'
import { until } from '../../support/test-broker/until.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const reading = scopeOf('devstorage.read_only')
const scopes = ['gmail.readonly', 'drive.readonly', 'calendar', 'tasks', 'contacts', 'spreadsheets'].map(
  scopeOf,
)
const options = { timeout: 180_000 }

export function describeTwoInstances(): void {
  describe
    .skipIf(emulatorHost === undefined)
    .concurrent('two instances on one Firestore (skipped without emulator)', () => {
      let world: TestWorld
      let brokers: readonly [BrokerProcess, BrokerProcess]

      beforeAll(async () => {
        world = await createTestWorld()
        const names = ['switched', 'revoked', 'destroyed']
        const rules = [
          ...['busy', ...names].map((name) => world.rule(name, [reading])),
          world.rule('family', scopes),
        ]
        const settings = world.settings(rules, firestoreSettings(emulatorHost ?? ''))
        brokers = await Promise.all([world.yard.start(settings), world.yard.start(settings)])
        for (const name of names) await world.enrolAccount(brokers[0], name)
        return () => world.close()
      })

      test(
        'P15: 1,000 requests for one grant from two processes cause one upstream call',
        options,
        async () => {
          const { client_email: credential } = await world.enrolAccount(brokers[0], 'busy')
          world.google.script.token.always((call) =>
            call.credential === credential ? { do: 'slow', delayMs: 700 } : undefined,
          )
          const parameters = { audience: 'busy', scope: reading }
          const jwts = [await world.workload.jwt(), await world.workload.jwt()]
          const askers = Array.from({ length: 100 }, async (_, asker) => {
            const caller = { ...world.workload, jwt: async () => jwts[asker % 2] ?? '' }
            const answers: Answer[] = []
            for (let round = 0; round < 10; round += 1)
              answers.push(await askToken(oneOf(brokers, asker), caller, parameters))
            return answers
          })
          const answers = (await Promise.all(askers)).flat()

          expect(answers).toHaveLength(1000)
          expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
          expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
          expect(world.google.calls.count({ credential })).toBe(1)
          const both = brokers.map(
            (broker) =>
              broker
                .audits()
                .filter((audit) => audit['credential'] === 'busy' && audit['outcome'] === 'issued').length,
          )
          expect(both).toEqual([500, 500])
        },
      )

      test.each(['firestore', 'firestore+rest'])(
        'P6: of 20 concurrent replays at both exactly one gets a token, with a store that takes 200 ms: %s',
        options,
        async (driver) => {
          const proxy = await startTcpProxy(emulatorHost ?? '', { answersAfterMs: 200 })
          try {
            const { DOWNSCOPE_STORE: store = '', ...others } = firestoreSettings(proxy.host)
            const settings = world.settings([world.rule('slow', [reading])], {
              ...others,
              DOWNSCOPE_STORE: store.replace('firestore', driver),
            })
            const slow = await Promise.all([world.yard.start(settings), world.yard.start(settings)])
            const direct = await world.yard.start({
              ...settings,
              FIRESTORE_EMULATOR_HOST: emulatorHost ?? '',
            })
            await world.enrolAccount(direct, 'slow')
            await direct.stop()
            const good = { audience: 'slow', scope: reading }
            const ask = async () => assertionForm(world.billing, good)
            // Both have the token by then, and what differs is the replay record alone.
            for (const broker of slow)
              await until('a token', async () => (await post(broker, await ask())).status === 200)

            const all: number[] = []
            for (let round = 0; round < 3; round += 1) {
              const form = await ask()
              const answers = await Promise.all(
                Array.from({ length: 20 }, (_, index) => post(oneOf([slow[0], slow[1]], index), form)),
              )
              const statuses = answers.map(({ status }) => status)
              all.push(...statuses)
              const winners = statuses.filter((status) => status === 200).length
              // On a busy machine the emulator may keep them longer than the broker waits: then there is no token (503),
              // and whoever would have won may be among these.
              if (statuses.includes(503)) expect(winners).toBeLessThanOrEqual(1)
              else expect(winners).toBe(1)
              expect(statuses.filter((status) => ![200, 401, 503].includes(status))).toEqual([])
              expect(Math.min(...answers.map(({ tookMs }) => tookMs))).toBeGreaterThan(190)
            }
            expect(all).toContain(200)
            expect(all).toContain(401)
            await Promise.all(slow.map((broker) => broker.stop()))
          } finally {
            await proxy.stop()
          }
        },
      )

      test(
        'P16: 50 requests at once with different scopes never revoke a family with reuse detection',
        options,
        async () => {
          const file = await world.enrolGrant(brokers[0], 'family', {
            scopes,
            rotating: true,
            reuseDetection: true,
          })
          // Every non-empty choice of six scopes is another token.
          const scopesWanted = Array.from({ length: 50 }, (_, index) =>
            scopes.filter((_scope, bit) => ((index + 1) & (1 << bit)) !== 0).join(' '),
          )
          const ask = async (scope: string, index: number): Promise<Answer> => {
            const answer = await askToken(oneOf(brokers, index), world.workload, {
              audience: 'family',
              scope,
            })
            if (answer.status === 200) return answer
            expect(answer).toMatchObject({ status: 503 })
            expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
            await new Promise((resolve) => setTimeout(resolve, 1000 * Math.random()))
            return ask(scope, index)
          }
          const answers = await Promise.all(scopesWanted.map(ask))

          expect(new Set(answers.map(({ token }) => token)).size).toBe(50)
          for (const [index, { token }] of answers.entries())
            expect(world.google.token(token)?.scopes.toSorted()).toEqual(
              scopesWanted[index]?.split(' ').toSorted(),
            )
          expect(world.google.grant(file.refresh_token)).toMatchObject({ state: 'live', rotations: 50 })
          expect(world.google.calls.highWater({ grant: 'refresh_token' })).toBe(1)
        },
      )

      test.concurrent.each([
        ['switched', { method: 'POST', path: 'credentials/switched:disable' }],
        ['revoked', { method: 'POST', path: 'credentials/revoked:revoke' }],
        ['destroyed', { method: 'DELETE', path: 'credentials/destroyed' }],
      ] as const)(
        'P26: %s on one instance, cached tokens are refused by both within 10 s',
        options,
        async (name, act) => {
          const parameters = { audience: name, scope: reading }
          const ask = () => Promise.all(brokers.map((broker) => askToken(broker, world.workload, parameters)))
          // On a busy machine the one that waits for the other's refresh is told to come again.
          await until('both serve', async () => (await ask()).every(({ status }) => status === 200))

          const done = await administer(brokers[0], world.ops, act)
          expect([200, 204]).toContain(done.status)
          const refused = await until(
            'both refuse',
            async () => {
              const answers = await ask()
              return answers.every(({ status }) => status === 400) && answers
            },
            { ms: 10_000, pauseMs: 200 },
          )

          expect(refused[0]?.body['error']).toBe('invalid_target')
          expect((await ask()).map(({ status }) => status)).toEqual([400, 400])
        },
      )
    })
}

function oneOf<T>([first, second]: readonly [T, T], index: number): T {
  return index % 2 === 0 ? first : second
}
