import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPerson, issuerEntry, type Person } from '../../src/cli/terminal.ts'
import { readScopes } from '../../src/policy/scope-catalogue.ts'
import { startDownscope } from '../support/agent-process.ts'
import { runAnswering } from '../support/answering-cli.ts'
import { goOnTo } from '../support/connecting.ts'
import { consentClient, createConsentServers } from '../support/consent-servers.ts'
import { codeBlocksOf } from '../support/markdown-blocks.ts'
import { readPage } from '../support/guides.ts'
import { startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { runCli, type CliOutcome } from '../support/run-cli.ts'
import { createVisitor } from '../support/visitor.ts'

// docs/use-cases.md from its first command to its last, in order, at a broker whose Google is a stand-in.

const page = readPage('docs/use-cases.md')
const blocks = codeBlocksOf(page)
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.split('\n').map((line) => line.trim()))
  .filter((line) => line !== '')

let world: PeopleWorld
let folder: string
const servers = createConsentServers()
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'downscope-use-cases-'))
  const [admin, caller] = [createPerson('page-admin'), createPerson('page-billing')]
  keep('admin.jwk.json', admin.privateJwk)
  keep('billing.jwk.json', caller.privateJwk)
  keep('google-client.json', {
    type: 'oauth_client',
    client_id: consentClient.id,
    client_secret: consentClient.secret,
  })
  keep('maps-key.json', { type: 'api_key', key: 'AIzaSyA-0123456789abcdefghijklmnopqrstuv' })
  const text = blocks.find(({ language }) => language === 'yaml')?.text ?? ''
  const { rules } = load(
    text.replaceAll('issuer: billing, subject: billing', 'issuer: page-billing, subject: page-billing'),
  ) as {
    readonly rules: readonly object[]
  }
  world = await startPeopleWorld({
    http: servers,
    policy: () => ({
      rules,
      issuers: [admin, caller].map((person) => entryOf(person)),
      admins: [{ callers: [{ issuer: 'page-admin', subject: 'page-admin' }], role: 'admin' }],
    }),
  })
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

function keep(name: string, document: object): void {
  writeFileSync(join(folder, name), JSON.stringify(document), { mode: 0o600 })
}

function entryOf(person: Person): object {
  const [entry] = load(issuerEntry(person, person.issuer)) as readonly object[]
  return entry ?? {}
}

describe('docs/use-cases.md', () => {
  test('every scope that the five pages name is one that the broker knows', () => {
    const table = page.split('\n').filter((line) => line.startsWith('| A') || line.startsWith('| U'))
    const named = table.flatMap((row) => [...row.matchAll(/`([a-z_.-]+)`/g)].map(([, name = '']) => name))
    expect(named).toHaveLength(11)

    expect(readScopes('google', named)).toMatchObject({ ok: true })
    expect(readScopes('google', ['compute.readonyl'])).toMatchObject({
      ok: false,
      faults: [expect.stringContaining('did you mean')],
    })
  })

  test.each(commands.map((command, index) => [index, command] as const))('%i: %s', async (_, command) => {
    if (command.startsWith('curl '))
      return expect(await askMetadata(command)).toMatchObject({ token_type: 'Bearer' })
    if (command.startsWith('npx downscope agent '))
      return expect(command).toContain('--account default=compute-reader')
    const [own = '', curl] = command.split(' | ')
    const { status, stdout, stderr } = await give(own)
    if (status !== 0) throw new Error(stderr)
    if (own.includes(' token '))
      expect(stdout).toMatch(/^(?:Authorization: Bearer |X-Goog-Api-Key: )?(?:at-\d+|AIza\S+)\n$/)
    if (curl !== undefined)
      expect([curl, stdout]).toEqual([
        expect.stringMatching(/^curl -H @- https:/),
        expect.stringContaining('Authorization: Bearer at-'),
      ])
  })

  test('a token of the broader consent carries the narrower scope alone', async () => {
    const given = await give('npx downscope token billing-manager --key billing.jwk.json --json')

    expect(JSON.parse(given.stdout)).toMatchObject({
      scope: 'https://www.googleapis.com/auth/cloud-billing.readonly',
    })
  })
})

/** As a person at a terminal does, and as whoever consents. */
async function give(command: string): Promise<CliOutcome> {
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain = '']) => quoted ?? plain)
  const args = words.slice(2).map((word) => (word.endsWith('.json') ? join(folder, word) : word))
  const env = { DOWNSCOPE_URL: world.url, DOWNSCOPE_ADMIN_KEY: join(folder, 'admin.jwk.json') }
  if (args[0] !== 'connect') return runCli(args, { env })
  return runAnswering(args, {
    env,
    answer: async (link) => {
      const visitor = createVisitor()
      const back = await goOnTo(visitor, link, 'https://accounts.google.com')
      await visitor.open(back.with(servers.consent(back.asked)))
    },
  })
}

/** The agent of the page's command, and the request of the next one. */
async function askMetadata(command: string): Promise<object> {
  const [, path = ''] = /"http:\/\/127\.0\.0\.1:8970(\/[^"]*)"/.exec(command) ?? []
  const wanted = commands.find((one) => one.startsWith('npx downscope agent ')) ?? ''
  const args = wanted
    .replace('https://tokens.acme.example', world.url)
    .replace('billing.jwk.json', join(folder, 'billing.jwk.json'))
    .replace('--caller billing', '--caller page-billing')
    .split(' ')
    .slice(2)
  const agent = startDownscope([...args, '--port', '0'])
  try {
    const response = await fetch(`${await agent.url}${path}`, { headers: { 'Metadata-Flavor': 'Google' } })
    return (await response.json()) as object
  } finally {
    agent.kill('SIGTERM')
    await agent.ended
  }
}
