import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runAnswering } from '../support/answering-cli.ts'
import { startStoryPlace, temporaryFolder } from '../support/dev-broker.ts'
import { noBrowser } from '../support/hands.ts'
import { jsonMembers } from '../support/json-members.ts'
import { runCli } from '../support/run-cli.ts'
import { until } from '../support/test-broker/until.ts'

// The story of test/browsers/console-story.browser.ts, by the command line.

test('from a fresh dev: sign in, connect, explain, rotate, change the policy, stop and start', async () => {
  const { url, key, token } = await startStoryPlace()
  const env = { XDG_CONFIG_HOME: temporaryFolder() }
  const run = (...args: readonly string[]) => runCli(args, { env })
  const hands = noBrowser()

  const signedIn = await runAnswering(['login', '--url', url], {
    env,
    answer: async (link) => {
      await hands.open(link)
      await hands.press('Sign in as Ann')
      await hands.pressEither('Allow', 'Allow')
    },
  })
  expect([signedIn.status, signedIn.stdout]).toEqual([0, expect.stringContaining('as ann@dev.example')])

  const asked = ['--upstream', 'dev', '--client', 'dev-client', '--scopes', 'notes.read notes.write']
  const connected = await runAnswering(['connect', 'notes', ...asked, '--yes', '--json'], {
    env,
    answer: async (link) => {
      await hands.open(link)
      await hands.press('Continue')
      await hands.pressEither('Allow', 'Sign in as Ann')
    },
  })
  expect(jsonMembers(connected.stdout)).toMatchObject({ state: 'enabled', account: 'ann@dev.example' })
  expect((await token('notes', 'notes.read')).status).toBe(0)
  const found = await run('credentials', 'list', '--search', 'notes', '--kind', 'refresh_token')
  expect(found.stdout).toMatch(/^NAME .*\nnotes +enabled .* ann@dev\.example .*\n1 of 3 credentials\n$/)
  const urgent = await run('credentials', 'list', '--attention', '--json')
  expect(jsonMembers(urgent.stdout)).toMatchObject({ matching: 0, hours: [{ issued: 1 }] })
  const refused = await token('notes', 'notes.write')
  expect(refused.status).toBe(1)

  const listed = await run('audit', 'list', '--credential', 'notes', '--action', 'token.exchange', '--json')
  const records = listed.stdout.trim().split('\n').map(jsonMembers)
  // The newest first, also of one second.
  expect(records.map(({ outcome, caller }) => [outcome, caller])).toEqual([
    ['refused', 'my-service'],
    ['issued', 'my-service'],
  ])
  const why = await run('explain', '--request', String(records[0]?.['request_id']))
  expect(why.stdout).toContain('gets no token')
  expect(why.stdout).toContain('my service reads notes')

  const rotated = await run('credentials', 'rotate', 'reports-sa', '--wait')
  expect([rotated.status, rotated.stdout]).toEqual([0, expect.stringContaining('reports-sa')])
  const versions = await run('versions', 'list', 'reports-sa', '--json')
  expect(versions.stdout).toContain('retiring')

  const file = join(temporaryFolder(), 'policy.yaml')
  const shown = (await run('policy', 'show')).stdout
  writeFileSync(file, shown.replace('scopes: [notes.read]', 'scopes: [notes.read, notes.write]'))
  const diff = await run('policy', 'diff', file)
  expect(diff.stdout).toContain('+    scopes: [notes.read, notes.write]')
  expect(await run('policy', 'apply', file)).toMatchObject({ status: 0 })
  await until('the policy is in force', async () => (await token('notes', 'notes.write')).status === 0)
  const applied = readFileSync(file, 'utf8')
  await until('it is in the folder', () => readFileSync(join(key, '../policy.yaml'), 'utf8') === applied)

  const all = await run('policy', 'show', '--versions')
  expect(all.stdout).toMatch(/^VERSION .*\n2 .*\/ann .*\n1 .* policy\.yaml /)
  const [, first = ''] = /(\S+)\n$/.exec(all.stdout) ?? []
  expect(await run('policy', 'show', '--revision', first)).toMatchObject({ status: 0, stdout: shown })

  expect(await run('service', 'stop', '--yes')).toMatchObject({ status: 0 })
  expect((await token('notes')).status).not.toBe(0)
  expect(await run('service', 'resume')).toMatchObject({ status: 0 })
  expect((await token('notes')).status).toBe(0)
}, 180_000)
