import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replaceSettings } from '../../infra/docs/settings-table.ts'
import { judgeBundle, judgeStartUp } from '../../infra/judge-worker.ts'
import { startWorld, type World } from '../../infra/quickstart/world.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { jsonMembers } from '../support/json-members.ts'
import { codeBlocksOf, type CodeBlock } from '../support/markdown-blocks.ts'
import { repository, runProgram } from '../support/run-node.ts'

/**
 * Every code block of README.md and docs/tour.md, run as a reader would: against a live quickstart, one page after the
 * other, in the order of each page.
 */
const readme = await readFile(join(repository, 'README.md'), 'utf8')
const tour = await readFile(join(repository, 'docs/tour.md'), 'utf8')
const blocks = [
  ...codeBlocksOf(readme).map((block) => ({ page: 'README.md', block })),
  ...codeBlocksOf(tour).map((block) => ({ page: 'docs/tour.md', block })),
]
const guard = pathToFileURL(join(repository, 'test/support/test-broker/refuse-outbound.ts')).href

let folder = ''
let world: World
const ran = new Map<string, number>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-readme-'))
  await linkModules()
  world = await startWorld(join(folder, '.downscope/quickstart'))
})

afterAll(async () => {
  await world?.stop()
  await rm(folder, { recursive: true, force: true })
})

/**
 * The packages and our own command, as after set-up. In a folder of their own: where npx does not find a command, npm
 * may put it in, and change what else lies there.
 */
async function linkModules(): Promise<void> {
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, '.bin'), { recursive: true })
  for (const name of await readdir(join(repository, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(repository, 'node_modules', name), join(modules, name))
  await symlink(join(repository, 'infra/downscope.mjs'), join(modules, '.bin/downscope'))
}

describe('the code blocks of README.md and docs/tour.md', () => {
  test.each(blocks.map(({ page, block }) => ({ block, name: `${page}:${block.line} (${block.language})` })))(
    '$name works as it is printed',
    async ({ block }) => {
      const kind = await runBlock(block)
      ran.set(kind, (ran.get(kind) ?? 0) + 1)
    },
    120_000,
  )

  test('were all run, and there were some of each kind', () => {
    const counts = Object.fromEntries(ran)
    process.stdout.write(`README and tour: ${blocks.length} code blocks ran: ${JSON.stringify(counts)}\n`)

    expect(blocks.length).toBeGreaterThan(10)
    expect([...ran.values()].reduce((sum, count) => sum + count, 0)).toBe(blocks.length)
    expect(counts).toMatchObject({ shell: 11, script: 3, policy: 1, json: 2, npm: 2, picture: 1, build: 1 })
  })

  test('the rotation of the tour refused nobody, and both keys are there', async () => {
    const asked = (await readFile(join(folder, '.downscope/quickstart/load.txt'), 'utf8')).trim().split('\n')
    process.stdout.write(`README and tour: ${asked.length} tokens were issued during the rotation\n`)

    expect(asked.length).toBeGreaterThan(5)
    expect(new Set(asked)).toEqual(new Set(['issued']))
    expect(world.google.keysOf('invoices@acme.iam.gserviceaccount.com')).toMatchObject([
      { disabled: false },
      { disabled: false },
    ])
  })

  test('the refusal of the tour has the request id that is explained', async () => {
    const text = await readFile(join(folder, '.downscope/quickstart/refusal.json'), 'utf8')

    expect(jsonMembers(text)).toMatchObject({ request_id: /"request_id": *"([^"]*)"/.exec(text)?.[1] ?? '' })
  })

  test('a block of a kind that no test knows how to run fails', async () => {
    await expect(runBlock({ language: 'cobol', note: '', text: 'STOP RUN.', line: 1 })).rejects.toThrow(
      'no test knows how to run',
    )
  })

  test('a shell block that the broker refuses fails, also when curl ends well', async () => {
    const text = '. .downscope/quickstart/env\ncurl -s "$BROKER/v1/token" -d grant_type=password\n'

    await expect(runBlock({ language: 'sh', note: '', text, line: 1 })).rejects.toThrow(
      'unsupported_grant_type',
    )
  })
})

test('README links every guide, or a guide that links it', async () => {
  const guides = (await readdir(join(repository, 'docs'))).filter((name) => name.endsWith('.md'))
  const linked = guides.filter((name) => readme.includes(`](docs/${name})`))
  const texts = await Promise.all(linked.map((name) => readFile(join(repository, 'docs', name), 'utf8')))
  const missing = guides.filter((name) => !linked.includes(name))

  expect(missing.filter((name) => !texts.some((text) => text.includes(`](${name}`)))).toEqual([])
  expect(linked.length).toBeGreaterThan(15)
})

test('README is at most 1,200 words', () => {
  const words = readme.split(/\s+/).filter((word) => word !== '').length
  process.stdout.write(`README: ${words} words\n`)

  expect(words).toBeLessThanOrEqual(1_200)
  expect(words).toBeGreaterThan(500)
})

test('the table in docs/settings.md is the one of the code (else: npm run docs:settings)', async () => {
  const page = await readFile(join(repository, 'docs/settings.md'), 'utf8')

  expect(replaceSettings(page)).toBe(page)
})

describe('what README says is not there yet', () => {
  const [, section = ''] = /## What is not there yet\n([\s\S]*?)\n## /.exec(readme) ?? []

  test('a consent screen is not named there: connect has one, and no caller is sent to it', async () => {
    expect(section).not.toContain('consent screen')
    expect(await statusOf('/v1/admin/connections')).toBe(401)
    const metadata = await fetch(`${world.broker.url}/.well-known/oauth-authorization-server`)
    expect(jsonMembers(await metadata.text())).not.toHaveProperty('authorization_endpoint')
  })

  test('a metadata server is not named there: it is the agent, and never the broker', async () => {
    expect(section).not.toContain('metadata server')
    expect(await statusOf('/computeMetadata/v1/instance')).toBe(404)
  })

  test.each(['/v1/token', '/v1/introspect'])('%s is not named there, and is there', async (path) => {
    expect(section).not.toContain(path)
    expect(await statusOf(path)).toBe(400)
  })

  const statusOf = async (path: string): Promise<number> =>
    (await fetch(`${world.broker.url}${path}`, { method: 'POST' })).status
})

async function runBlock(block: CodeBlock): Promise<string> {
  switch (block.language) {
    case 'sh':
      return block.text.startsWith('npm ') ? checkNpm(block) : runShell(block)
    case 'js':
      return runScript(block)
    case 'yaml':
      parsePolicy(
        { text: block.text, revision: 'readme', origin: 'README' },
        { brokerIssuer: world.broker.url },
      )
      return 'policy'
    case 'json':
      return checkJson(block)
    case 'text':
      return block.text.startsWith('dist/worker') ? checkBuild(block) : 'picture'
    default:
      throw new Error(`no test knows how to run a block of "${block.language}" (line ${block.line})`)
  }
}

/** `npm test` cannot run itself, and quickstart.node.test.ts runs the quickstart: here only that they are there. */
async function checkNpm({ text }: CodeBlock): Promise<string> {
  const { scripts } = jsonMembers(await readFile(join(repository, 'package.json'), 'utf8'))
  const commands = text.split('\n').filter((line) => line !== '')
  for (const command of commands) {
    const script = /^npm (?:run )?(?<script>[\w:]+)/.exec(command)?.groups?.['script']
    expect(scripts).toHaveProperty([script ?? command])
  }
  return 'npm'
}

/** What build:worker printed: within its own limits. deploy-workers.node.test.ts compares it with a bundle made anew. */
function checkBuild({ text }: CodeBlock): string {
  const figure = (pattern: RegExp): number => Number(pattern.exec(text)?.[1])
  const inputs = Array.from({ length: figure(/ (\d+) modules/) }, (_, index) => `module ${index}`)

  expect(judgeBundle({ gzipBytes: figure(/([\d.]+) KB compressed/) * 1000, inputs, externals: [] })).toEqual(
    [],
  )
  expect(judgeStartUp(figure(/start-up ([\d.]+) ms/))).toEqual([])
  return 'build'
}

async function runShell({ text }: CodeBlock): Promise<string> {
  const finished = await runProgram('bash', ['-euo', 'pipefail', '-c', text], { cwd: folder })
  const refusal = /"(?:error|code)":"|<html/.exec(finished.stdout)
  // npm warns of what it finds in its user's own settings.
  // downscope writes notes beside its answers there.
  const isOfDownscope =
    text.includes('npx downscope') && !/^(?:error|warning|curl|bash):/m.test(finished.stderr)
  const complaint = isOfDownscope ? '' : finished.stderr.replaceAll(/^npm warn .*\n/gm, '')
  if (finished.status !== 0 || refusal !== null || complaint !== '')
    throw new Error(`status ${finished.status}\n${finished.stdout}\n${finished.stderr}`)
  expect(finished.stdout).not.toBe('')
  return 'shell'
}

async function runScript({ text, line }: CodeBlock): Promise<string> {
  const file = join(folder, `line-${line}.mjs`)
  await writeFile(file, text)
  const env = { BROKER: world.broker.url }
  const finished = await runProgram(process.execPath, ['--import', guard, file], { cwd: folder, env })
  expect(finished).toMatchObject({ status: 0, stderr: '' })
  // What the script got is a token, and the stand-in knows it.
  expect(world.google.token(finished.stdout.trim())).toMatchObject({ scopes: [expect.any(String)] })
  return 'script'
}

async function checkJson({ text }: CodeBlock): Promise<string> {
  const document = jsonMembers(text)
  if (document['type'] === 'external_account') {
    const here = text
      .replaceAll('http://127.0.0.1:8080', world.broker.url)
      .replaceAll('/home/you/downscope/.downscope/quickstart', world.place.path(''))
    expect(jsonMembers(here)).toEqual(
      jsonMembers(await readFile(world.place.path('external-account.json'), 'utf8')),
    )
    return 'json'
  }
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    subject_token: await readFile(world.place.path('workload.jwt'), 'utf8'),
    audience: 'reports-sa',
  })
  const response = await fetch(`${world.broker.url}/v1/token`, { method: 'POST', body })
  const { access_token: token, expires_in: life, ...same } = jsonMembers(await response.text())
  const { access_token: printedToken, expires_in: printedLife, ...printed } = document
  expect(same).toEqual(printed)
  expect([typeof token, typeof life]).toEqual([typeof printedToken, typeof printedLife])
  return 'json'
}
