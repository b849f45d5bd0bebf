import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { administer, askToken } from '../../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../../support/test-broker/test-world.ts'
import { until } from '../../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')

/** Each change waits until the broker looks at the file again. */
export function describePolicyFile(): void {
  describe.concurrent('the policy file', () => {
    test(
      'P25: changes take effect without a restart; broken, empty or deleted, the last good policy stays',
      { timeout: 180_000 },
      async ({ onTestFinished }) => {
        const world = await createTestWorld()
        onTestFinished(() => world.close())
        const path = join(world.folder, 'policy.json')
        const replace = (text: string) => {
          writeFileSync(`${path}.new`, text)
          renameSync(`${path}.new`, path)
        }
        const narrow = world.policy([world.rule('sa', [mail])])
        const wide = world.policy([world.rule('sa', [mail, drive])])
        replace(narrow)
        const broker = await world.yard.start(world.settings([], { DOWNSCOPE_POLICY: path }))
        await world.enrolAccount(broker, 'sa')
        const ask = async (scope: string) =>
          (await askToken(broker, world.workload, { audience: 'sa', scope })).status
        const untilItIs = (status: number, scope: string) =>
          until(`${scope} is answered with ${status}`, async () => (await ask(scope)) === status)
        const refusals = () =>
          broker.lines().filter(({ message }) => String(message).startsWith('policy refused')).length
        const untilStale = (fault: RegExp, seen: () => boolean = () => true) =>
          until(`the policy is told to be stale: ${fault.source}`, async () => {
            const { body } = await administer(broker, world.ops, { method: 'GET', path: 'policy' })
            await ask(mail)
            return body['status'] === 'stale' && fault.test(String(body['fault'])) && seen()
          })
        expect([await ask(mail), await ask(drive)]).toEqual([200, 400])

        replace(wide)
        await untilItIs(200, drive)

        const broken = [wide.slice(0, wide.length / 2), '', wide.replace('"rules"', '"ruels"')]
        for (const [index, text] of broken.entries()) {
          replace(text)
          await untilStale(/./, () => refusals() === index + 1)
          expect([await ask(mail), await ask(drive)]).toEqual([200, 200])
        }
        await untilStale(/did you mean "rules"/)

        rmSync(path)
        await untilStale(/ENOENT/)
        expect([await ask(mail), await ask(drive)]).toEqual([200, 200])

        // P26: a token in memory is no permission.
        replace(narrow)
        await untilItIs(400, drive)
        expect(await ask(mail)).toBe(200)
        const messages = broker.lines().map(({ message }) => message)
        expect(messages.filter((message) => message === 'policy in force')).toHaveLength(3)
        expect(refusals()).toBe(3)
      },
    )
  })
}
