import { describe, expect, onTestFinished, test } from 'vitest'
import { runAnswering } from '../support/answering-cli.ts'
import { openChromium } from '../support/chromium.ts'
import { keyboard, mouse, noBrowser, type Hands } from '../support/hands.ts'
import { runCli } from '../support/run-cli.ts'
import { startDev, startWithDevFiles, temporaryFolder, type DevPlace } from '../support/dev-broker.ts'
import { until } from '../support/test-broker/until.ts'
import { createWorkerYard } from '../support/worker-sandbox.ts'

// From nothing to a token, the end of the grant, and a token again: `npm run browsers`.

const ways: readonly [string, () => Promise<Hands>][] = [
  ['by mouse', async () => withChromium(mouse)],
  ['by keyboard alone', async () => withChromium(keyboard)],
  ['at the command line, with no browser of ours', async () => noBrowser()],
]

describe('from a fresh `downscope dev`', () => {
  test.each(ways)(
    '%s: sign in, connect, first token, the grant ends, connect again',
    async (_, take) => tell(await startDev(), await take()),
    240_000,
  )
})

test('the same at the Worker under wrangler dev, by mouse', async () => {
  const yard = createWorkerYard()
  onTestFinished(() => yard.close())
  const place = await startWithDevFiles((settings) =>
    yard.start({ ...settings, DOWNSCOPE_STORE: 'sqlite:story' }),
  )
  await tell(place, await withChromium(mouse))
}, 240_000)

async function tell({ url, issuer, key }: DevPlace, hands: Hands): Promise<void> {
  onTestFinished(() => hands.close())
  const config = temporaryFolder()
  const env = { XDG_CONFIG_HOME: config }
  const run = (...args: readonly string[]) => runCli(args, { env })
  const answering = (args: readonly string[], answer: (link: string) => Promise<void>) =>
    runAnswering(args, { env, answer })
  const token = () => run('token', 'notes', '--key', key, '--url', url)

  const signedIn = await answering(['login', '--url', url], async (link) => {
    await hands.open(link)
    await hands.press('Sign in as Ann')
    await hands.pressEither('Allow', 'Allow')
    await hands.reads('You may close this page')
    await hands.isAccessible()
  })
  expect([signedIn.status, signedIn.stdout]).toEqual([0, expect.stringContaining('as ann@dev.example')])
  expect(JSON.parse((await run('whoami', '--json')).stdout)).toMatchObject({ role: 'admin', subject: 'ann' })

  const asked = ['--upstream', 'dev', '--client', 'dev-client', '--scopes', 'notes.read notes.write']
  const connected = await answering(['connect', 'notes', ...asked, '--yes', '--json'], async (link) => {
    await hands.open(link)
    await hands.press('Continue')
    await hands.pressEither('Allow', 'Sign in as Ann')
    await hands.reads('Thank you')
  })
  expect([connected.status, connected.stderr]).toEqual([0, expect.stringContaining('/connect/')])
  expect(JSON.parse(connected.stdout)).toMatchObject({ state: 'enabled', account: 'ann@dev.example' })
  const first = await token()
  expect([first.status, first.stdout.trim()]).toEqual([0, expect.stringMatching(/^\S{20,}$/)])

  await hands.open(issuer)
  await hands.press("End everybody's grants and sessions")
  // The token that was given is good for its hour: given back, the next one has to be asked for.
  const jwt = (await run('jwt', '--key', key, '--broker', url)).stdout.trim()
  const revoked = await fetch(`${url}/v1/revoke`, {
    method: 'POST',
    body: new URLSearchParams({
      token: first.stdout.trim(),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    }),
  })
  expect([revoked.status, await revoked.text()]).toEqual([200, ''])
  const none = await until('the token that was given back is gone', async () => {
    const given = await token()
    return given.status !== 0 && given
  })
  expect([none.stdout, none.stderr]).toEqual(['', expect.stringContaining('not available to this caller')])
  const shown = await run('credentials', 'show', 'notes', '--json')
  expect(JSON.parse(shown.stdout)).toMatchObject({ health: { status: 'broken' } })

  const again = await answering(['connect', 'notes', '--yes'], async (link) => {
    await hands.open(link)
    await hands.press('Continue')
    await hands.press('Sign in as Ann')
    await hands.press('Allow')
    await hands.reads('Thank you')
  })
  expect([again.status, again.stdout]).toEqual([0, expect.stringContaining('connected notes as ann@')])
  const second = await until('a token of the new grant', async () => {
    const given = await token()
    return given.status === 0 && given.stdout.trim()
  })
  expect(second).not.toBe(first.stdout.trim())
  expect((await run('logout')).status).toBe(0)
}

async function withChromium(hold: typeof mouse): Promise<Hands> {
  const { page, close } = await openChromium({ width: 1280, scheme: 'light' })
  return hold(page, close)
}
