import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { startConsoleWorld, type ConsoleWorld } from '../support/console-world.ts'
import { jsonMembers } from '../support/json-members.ts'
import { runCli } from '../support/run-cli.ts'
import { runProgram } from '../support/run-node.ts'
import { textOfHtml, type Page, type Visitor } from '../support/visitor.ts'

// What a page gives to copy, run by a shell with programs that write down what they were given: each command would send
// the very request of the API that stands beside it.

let world: ConsoleWorld
let visitor: Visitor
let folder = ''
beforeAll(async () => {
  world = await startConsoleWorld()
  visitor = (await world.signedIn('Ann')).visitor
  folder = mkdtempSync(join(tmpdir(), 'downscope-copied-'))
  writeFileSync(join(folder, 'FILE'), 'version: 1\n')
  return async () => {
    rmSync(folder, { recursive: true })
    await world.close()
  }
})

const open = (path: string) => visitor.open(`${world.url}/console${path}`)

interface Sent {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
}

/** The requests that the lines of a page send: those of its commands, and beside each that of curl. */
async function sentBy({ html }: Page): Promise<readonly (readonly [Sent, Sent])[]> {
  const lines = Array.from(html.matchAll(/<pre><code>(.*?)<\/code><\/pre>/g), ([, line = '']) =>
    textOfHtml(line),
  )
  const given = await argumentsOf(lines)
  const pairs: [Sent, Sent][] = []
  for (let at = 0; at < given.length; at += 2) {
    const [, ...command] = given[at] ?? []
    // It only looks: the request that it shows is the one that it spares.
    if (command.includes('--dry-run')) continue
    const shown = await runCli(
      [...command, '--curl'].map((word) => (word === 'FILE' ? join(folder, word) : word)),
    )
    expect([command, shown.status, shown.stderr]).toEqual([command, 0, ''])
    const [own] = await argumentsOf([shown.stdout.replace(/^export .*\n/gm, '')])
    pairs.push([sentIn(own ?? []), sentIn(given[at + 1] ?? [])])
  }
  return pairs
}

/** What a shell gives to the programs of some lines, a list for each. */
async function argumentsOf(lines: readonly string[]): Promise<readonly (readonly string[])[]> {
  const record = (name: string) =>
    `${name}() { printf '%s\\0' ${name} "$@"; printf '\\1'; }; downscope_jwt() { printf JWT; }\n`
  // Inside of a header it is asked for a JWT: one that is written down would be no line of its own.
  const script = lines.map((line) => line.replaceAll('$(downscope jwt', '$(downscope_jwt')).join('\n')
  const ran = await runProgram('sh', ['-eu', '-c', `${record('downscope')}${record('curl')}${script}`], {
    cwd: folder,
  })
  expect([ran.status, ran.stderr]).toEqual([0, ''])
  expect(readdirSync(folder)).toEqual(['FILE'])
  return ran.stdout
    .split('\u0001')
    .slice(0, -1)
    .map((words) => words.split('\0').slice(0, -1))
}

function sentIn(words: readonly string[]): Sent {
  const after = (option: string) => words[words.indexOf(option) + 1] ?? ''
  const url = new URL(words.find((word) => word.startsWith(world.url)) ?? '')
  const text = words.includes('--data') ? after('--data') : after('--data-binary')
  const hasBody = words.includes('--data') || words.includes('--data-binary')
  const body = hasBody && (text.startsWith('@') ? text.replace(/^@.*\//, '@') : jsonMembers(text))
  const { limit: _, ...query } = Object.fromEntries(url.searchParams)
  return {
    method: words.includes('-X') ? after('-X') : 'GET',
    path: url.pathname,
    // The console leaves the usual order out, and the command none.
    query: query['sort'] === 'name' ? {} : query,
    body: hasBody ? withScopes(body) : undefined,
  }
}

/** The API takes scopes as a list and as one text. */
function withScopes(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body
  const listed = Object.entries(body).map(([name, value]: [string, unknown]) =>
    /^scopes?$/.test(name) && typeof value === 'string' ? [name, value.split(' ')] : [name, value],
  )
  return Object.fromEntries(listed)
}

describe('the lines to copy', () => {
  test.each([
    ['', 2],
    ['/credentials', 2],
    [
      '/credentials?search=reports&kind=service_account_key&state=enabled&attention=true&sort=ends_at&offset=0',
      2,
    ],
    ['/credentials/reports-sa', 5],
    ['/policy', 3],
    ['/policy?edit=true', 1],
    ['/activity', 1],
    [
      '/activity?caller=billing&credential=reports-sa&outcome=refused&since=2026-01-01T00:00:00Z&reads=show',
      1,
    ],
    ['/stop', 4],
  ])('of /console%s: each command sends the request beside it', async (path, count) => {
    const page = await open(path)
    const sent = await sentBy(page)
    expect(sent).toHaveLength(count)
    for (const [command, call] of sent) expect(command).toEqual(call)
  })

  test('of a version of the policy, of one record, of an explanation and of a connection', async () => {
    const refused = await world.token('reports-sa', 'https://mail.google.com/')
    expect(refused.status).toBe(400)
    const [, version = ''] = /href="[^"]*(\/policy\?version=[^"]*)"/.exec((await open('/policy')).html) ?? []
    const [, record = ''] =
      /href="\/console(\/activity\?request_id=[^"]*)"/.exec((await open('/activity?outcome=refused')).html) ??
      []
    const connecting = await visitor.press(await open('/credentials'), 'Make the link', {
      changes: {
        name: 'notes',
        upstream: 'dev',
        client: 'dev-client',
        scopes: 'notes.read notes.write',
        expected_account: 'ann@dev.example',
      },
    })
    const pages = [await open(version), await open(textOfHtml(record)), connecting]
    for (const page of pages) {
      const sent = await sentBy(page)
      expect(sent.length).toBeGreaterThan(0)
      for (const [command, call] of sent) expect(command).toEqual(call)
    }
  })

  test.each([
    '$(touch pwned)',
    "'; touch pwned; '",
    '"; touch pwned; "',
    '`touch pwned`',
    '-x',
    '!touch pwned',
    '$HOME *',
    'ö "ß" \\',
  ])('T25 about the subject %j send one request about just that subject', async (subject) => {
    const claims = JSON.stringify({ groups: [subject, 'b'], email_verified: true })
    const page = await visitor.press(await open('/explain'), 'Explain', {
      changes: { issuer: 'billing', subject, claims, credential: 'reports-sa', scope: 'a b' },
    })
    const [[command, call] = []] = await sentBy(page)
    expect(call).toMatchObject({
      path: '/v1/admin/policy:explain',
      body: { claims: { sub: subject, groups: [subject, 'b'] }, scope: ['a', 'b'] },
    })
    expect(command).toEqual(call)
  })
})
