import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseSync } from 'oxc-parser'
import { describe, expect, test } from 'vitest'
import { load } from 'js-yaml'
import { parseHcl } from '../../infra/terraform/judge-module.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { clientSettingNames } from '../../src/config/setting-faults.ts'
import { settingsTable } from '../../src/config/settings-table.ts'
import { blocks, brokerIssuer, exists, pages, readPage } from '../support/guides.ts'
import { jsonMembers } from '../support/json-members.ts'
import type { CodeBlock } from '../support/markdown-blocks.ts'
import { repository, runProgram } from '../support/run-node.ts'

/** The guides to what needs Google or Cloudflare. */
const untriedGuides = [
  'docs/clients.md',
  'docs/deploy-cloud-run.md',
  'docs/deploy-workers.md',
  'docs/downscoping.md',
  'docs/google.md',
  'docs/key-ring.md',
  'docs/keyless.md',
  'docs/rotation.md',
  'docs/signing.md',
  'docs/tour.md',
  'docs/upstreams.md',
]

describe('every guide', () => {
  test.each(pages)('$path links only to what exists', ({ path, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, link]) => link ?? '')
    const missing = links.filter((link) => !exists(join(dirname(path), link)))

    expect(missing).toEqual([])
  })

  test.each(pages)('$path links only to headings that exist', ({ path, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)].map(
      ([, file = '', anchor = '']) => ({ page: file === '' ? path : join(dirname(path), file), anchor }),
    )

    expect(links.filter(({ page, anchor }) => !anchorsOf(page).has(anchor))).toEqual([])
  })

  test('a link to a heading that does not exist would be found', () => {
    expect(anchorsOf('README.md')).toContain('what-was-never-run')
    expect(anchorsOf('README.md')).not.toContain('what-was-never-ran')
  })

  test.each(pages)('$path names only files that exist', ({ path, text }) => {
    const named = [
      ...text.matchAll(
        /(?<![\w/.-])((?:src|test|infra|docs)\/[\w./-]+\.(?:ts|mjs|md|json|ya?ml|toml|sh))\b/g,
      ),
    ].map(([, name]) => name ?? '')

    expect([path, ...named].filter((name) => !exists(name))).toEqual([])
  })

  test.each(pages)('$path names only settings that exist', ({ text }) => {
    const own = Object.values(settingsTable).map(({ name }) => name)
    const known = new Set<string>([...own, ...clientSettingNames])
    const named = [...text.matchAll(/\bDOWNSCOPE_[A-Z_]*[A-Z]\b/g)].map(([name]) => name)

    expect(named.filter((name) => !known.has(name))).toEqual([])
  })
})

describe('what was never run', () => {
  const claims =
    /\b(?:none|nothing|never|not|nor)\b[^.]{0,60}\b(?:ran?|run|asked|tested|deployed)\b[^.]{0,9}(?:against|on Cloudflare|by this code)/i
  const link = '](../README.md#what-was-never-run)'
  const claimsIn = (text: string) => text.match(new RegExp(claims, 'gi')) ?? []

  test('is said in README', () => {
    expect(readPage('README.md')).toMatch(/## What was never run\n/)
  })

  test.each(pages.filter(({ path }) => path !== 'README.md'))('$path does not repeat it', ({ text }) => {
    expect(claimsIn(text)).toEqual([])
  })

  test.each(untriedGuides)('%s links there', (path) => {
    expect(readPage(path).split(link).length).toBeGreaterThan(1)
  })

  test('a guide that repeats it would be found', () => {
    expect(claimsIn('Good. **None of this was ever run against Google Cloud**: it is.')).toHaveLength(1)
    expect(claimsIn('Cloud KMS was never asked by this code.')).toHaveLength(1)
  })
})

test('docs/decisions.md gives each decision its context, its choice and its consequence', () => {
  const [, ...decisions] = readPage('docs/decisions.md').split(/^### /m)
  const whole = /^.+\n\n- Context: .+\n- Choice: .+\n- Consequence: .+\n(?:\n|$)/
  const broken = decisions.filter((decision) => !whole.test(decision))

  expect(broken.map((decision) => decision.split('\n')[0])).toEqual([])
  expect(decisions.length).toBeGreaterThan(30)
})

describe('code blocks of the guides', () => {
  const judged = blocks.filter(({ path }) => /^(?:docs|infra)\//.test(path))

  test.each(
    judged.map(({ path, block }) => ({ name: `${path}:${block.line} (${block.language})`, path, block })),
  )('$name can be read', async ({ path, block }) => judge(path, block))

  test('are there', () => {
    expect(judged.filter(({ block }) => block.language === 'yaml').length).toBeGreaterThanOrEqual(9)
    expect(judged.filter(({ block }) => block.language === 'sh').length).toBeGreaterThanOrEqual(9)
  })

  test('a policy with a misspelt key is refused', () => {
    expect(() => readPart('rules:\n  - name: x\n    caller: []\n')).toThrow('did you mean "callers"')
  })
})

async function judge(path: string, { language, text }: CodeBlock): Promise<void> {
  switch (language) {
    case 'yaml':
      // A Pod's spec is no policy, and only has to be YAML.
      if (['docs/policy.md', 'docs/upstreams.md', 'docs/issuers.md'].includes(path)) readPart(text)
      else load(text)
      break
    case 'json':
      if (text.startsWith('[')) JSON.parse(text)
      else jsonMembers(text)
      break
    case 'sql':
      // test/docs/observability.node.test.ts asks each of records.
      expect(path).toBe('docs/observability.md')
      break
    case 'text':
      break
    case 'toml':
      // test/deploy-workers.node.test.ts gives it to wrangler.
      expect(path).toBe('docs/deploy-workers.md')
      break
    case 'http':
      // test/broker/admin-api-guide.node.test.ts sends each to a broker.
      expect(path).toBe('docs/admin-api.md')
      break
    case 'js':
      // test/docs/readme.node.test.ts runs the tour's beside a broker, test/docs/observability.node.test.ts its receiver.
      if (!['docs/tour.md', 'docs/observability.md'].includes(path)) await runScript(text)
      break
    case 'ts':
      // test/client/ and test/infra/build-client.node.test.ts run what it imports.
      expect(parseSync('guide.ts', text).errors).toEqual([])
      break
    case 'hcl':
      await expect(parseHcl('guide.tf', `module "downscope" {\n${text}\n}`)).resolves.toHaveProperty('module')
      break
    case 'sh':
      expect(await runProgram('bash', ['-n', '-c', text], { cwd: tmpdir() })).toMatchObject({
        status: 0,
        stderr: '',
      })
      break
    default:
      throw new Error(`no test knows how to judge a block of "${language}"`)
  }
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = readPage(page).matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Beside an external_account file whose token nobody asks for. */
async function runScript(text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'downscope-script-'))
  const account = blocks.find(
    ({ block }) => block.language === 'json' && block.text.includes('external_account'),
  )
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'account.json'), account?.block.text ?? '')
  await writeFile(join(folder, 'script.mjs'), text)
  const guard = pathToFileURL(join(repository, 'test/support/test-broker/refuse-outbound.ts')).href
  const finished = await runProgram(process.execPath, ['--import', guard, 'script.mjs'], {
    cwd: folder,
    env: { GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'account.json') },
  })
  await rm(folder, { recursive: true })

  expect(finished).toMatchObject({ status: 0, stderr: '' })
}

/** A policy, or a part of one that is completed with the issuers the guide speaks of. */
function readPart(text: string): void {
  const part: unknown = load(text)
  if (typeof part !== 'object' || part === null) throw new Error('no policy')
  const document = new Map<string, unknown>(Object.entries(part))
  const own: unknown = document.get('issuers')
  const ownIssuers: readonly unknown[] = Array.isArray(own) ? own : []
  const issuers = [...ownIssuers, ...['cluster', 'billing', 'people'].map(issuerOf)]
  const whole = { version: 1, rules: [], ...Object.fromEntries(document), issuers }
  parsePolicy({ text: JSON.stringify(whole), revision: '1', origin: 'guide' }, { brokerIssuer })
}

function issuerOf(name: string): object {
  return { name, issuer: `https://${name}.acme.example`, keys: { discovery: true } }
}
