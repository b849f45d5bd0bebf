import { expect, onTestFinished, test } from 'vitest'
import { startWithDevFiles } from '../support/dev-broker.ts'
import { consent } from '../support/people-world.ts'
import { createBrokerYard } from '../support/spawn-broker.ts'
import { createVisitor, type Page } from '../support/visitor.ts'
import { createWorkerYard } from '../support/worker-sandbox.ts'

/** Each page and its heading, for a broker that has the client of `downscope dev` and nothing else. */
const pages: Readonly<Record<string, string>> = {
  '': 'Overview',
  '/credentials': 'Credentials',
  '/credentials/dev-client': 'dev-client',
  '/credentials/dev-client?confirm=disable': 'dev-client',
  '/credentials/gone': 'This credential is gone',
  '/explain': 'Explain',
  '/policy': 'Policy',
  '/policy?edit=true': 'Change the policy',
  '/activity?caller=nobody': 'Activity',
  '/stop': 'Stop',
}

test('the Worker serves the pages that Node serves, element by element, to whoever signed in', async () => {
  const [node, worker] = [createBrokerYard(), createWorkerYard()]
  onTestFinished(() => node.close())
  onTestFinished(() => worker.close())
  const audit = { DOWNSCOPE_AUDIT: 'stdout+store' }
  const places = [
    await startWithDevFiles((settings) => {
      const { port: PORT } = new URL(settings['DOWNSCOPE_ISSUER'] ?? '')
      return node.start({ ...settings, ...audit, PORT, DOWNSCOPE_STORE: 'memory:' })
    }),
    await startWithDevFiles((settings) =>
      worker.start({ ...settings, ...audit, DOWNSCOPE_STORE: 'sqlite:pages' }),
    ),
  ]
  const [onNode = [], onWorker = []] = await Promise.all(places.map(({ url }) => visit(url)))

  expect(onNode.map(({ heading }) => heading)).toEqual([
    ...Object.values(pages),
    'Explain',
    'Change the policy',
  ])
  expect(onWorker).toEqual(onNode)
}, 120_000)

/** What is the same of each page, wherever it is served; the last two answer a form. */
async function visit(url: string) {
  const visitor = createVisitor()
  const login = await visitor.open(`${url}/console`)
  await consent(visitor, await visitor.press(login, 'Sign in as Ann'))
  const open = (path: string) => visitor.open(`${url}/console${path}`)
  const seen: Page[] = []
  for (const path of Object.keys(pages)) seen.push(await open(path))
  const asked = { issuer: 'my-service', subject: 'my-service', credential: 'reports-sa' }
  seen.push(await visitor.press(await open('/explain'), 'Explain', { changes: asked }))
  const text = 'version: 1\nrules:\n  - name: wrong\n'
  seen.push(await visitor.press(await open('/policy?edit=true'), 'Check', { changes: { text } }))
  return seen.map(({ status, html, headers }) => ({
    status,
    heading: /<h1>(.*?)<\/h1>/.exec(html)?.[1],
    policy: headers.get('content-security-policy'),
    caching: headers.get('cache-control'),
    elements: Array.from(html.matchAll(/<\w[^>]*>/g), ([tag]) => elementOf(tag)),
  }))
}

/** An element without what is of one broker alone: its addresses, tokens and times, and the heights of a plot. */
function elementOf(tag: string): string {
  return tag
    .replaceAll(/ (?:value|datetime|y|height)="[^"]*"/g, '')
    .replaceAll(/127\.0\.0\.1:\d+|%3A\d+/g, 'broker')
    .replaceAll(/\?since=[^"]*/g, '')
}
