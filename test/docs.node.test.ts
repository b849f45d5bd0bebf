import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

import { parsePolicy } from '../src/authorize/parse-policy.ts'
import { readSettings } from '../src/config.ts'
import { settingsTable } from '../src/config/settings-table.ts'
import { answers } from '../src/http/answers.ts'
import { jsonMembers } from './support/json-members.ts'
import { codeBlocksOf, type CodeBlock } from './support/markdown-blocks.ts'
import { repository, runProgram } from './support/run-node.ts'

/** Guides are held to the code: examples parse, names exist, tables are complete. */
const guides = [
  'README.md',
  'src/README.md',
  ...readdirSync(join(repository, 'docs')).map((name) => `docs/${name}`),
]
const pages = guides.map((path) => ({ path, text: readPage(path) }))
const blocks = pages.flatMap(({ path, text }) => codeBlocksOf(text).map((block) => ({ path, block })))
const brokerIssuer = 'https://tokens.acme.example'

describe('every guide', () => {
  test.each(pages)('$path links only to what exists', ({ path, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, link]) => link ?? '')
    const missing = links.filter((link) => !exists(join(dirname(path), link)))

    expect(missing).toEqual([])
  })

  test.each(pages)('$path names only files that exist', ({ path, text }) => {
    const named = [...text.matchAll(/`((?:src|test|infra|docs)\/[\w./-]+\.\w+)`/g)].map(
      ([, name]) => name ?? '',
    )

    expect([path, ...named].filter((name) => !exists(name))).toEqual([])
  })

  test.each(pages)('$path names only settings that exist', ({ text }) => {
    const known = new Set<string>(Object.values(settingsTable).map(({ name }) => name))
    const named = [...text.matchAll(/\bDOWNSCOPE_[A-Z_]*[A-Z]\b/g)].map(([name]) => name)

    expect(named.filter((name) => !known.has(name))).toEqual([])
  })
})

describe('code blocks of the guides', () => {
  const judged = blocks.filter(({ path }) => path.startsWith('docs/'))

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

describe('docs/errors.md', () => {
  const page = readPage('docs/errors.md')

  test.each(Object.entries(answers).map(([code, answer]) => ({ code, answer })))(
    'tells of $code what the broker answers',
    ({ code, answer: { status, error } }) => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${code}\``))
      const isAdmins = row?.split('|').length === 5

      expect(row).toContain(`| ${status} |`)
      if (!isAdmins) expect(row).toContain(`\`${error}\``)
    },
  )
})

describe('docs/security.md', () => {
  const rows = [...readPage('docs/security.md').matchAll(/^\| (P\d+) \|(.*)$/gm)]

  test('has every promise once, in order', () => {
    expect(rows.map(([, id]) => id)).toEqual(Array.from({ length: 29 }, (_, index) => `P${index + 1}`))
  })

  test.each(rows.map(([, id = '', rest = '']) => ({ id, rest })))(
    '$id names tests that carry its id',
    ({ id, rest }) => {
      const files = [...rest.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? '')
      const carrying = files.filter((file) => new RegExp(`['\`"](?:P\\d+, )*${id}[,:]`).test(readPage(file)))

      expect(carrying).toEqual(files)
      expect(files.length > 0 || rest.includes('*not yet*')).toBe(true)
    },
  )
})

describe('infra/cloud-run', () => {
  test('the policy to begin with is valid', async () => {
    const text = await readFile(join(repository, 'infra/policy/first-policy.yaml'), 'utf8')

    expect(parsePolicy({ text, revision: '1', origin: 'infra' }, { brokerIssuer }).admins).toHaveLength(1)
  })

  test('service.yaml sets what the broker can start with', async () => {
    const text = await readFile(join(repository, 'infra/cloud-run/service.yaml'), 'utf8')
    const filled = text.replaceAll('${ISSUER}', brokerIssuer).replaceAll(/\$\{\w+\}/g, 'acme-tokens')
    const env = [...filled.matchAll(/name: (DOWNSCOPE_\w+), value: '?([^'}\s]+)/g)]
    const settings = Object.fromEntries(env.map(([, name = '', value = '']) => [name, value]))

    expect(() => parse(filled) as unknown).not.toThrow()
    expect(Object.keys(settings)).toHaveLength(4)
    expect(filled).toContain('name: DOWNSCOPE_KEYS')
    expect(readSettings({ ...settings, DOWNSCOPE_KEYS: `k1:${'A'.repeat(43)}=` })).toMatchObject({
      issuer: brokerIssuer,
      store: { kind: 'firestore', driver: 'native', project: 'acme-tokens', database: 'downscope' },
      policy: { from: 'file', path: '/etc/downscope/policy.yaml' },
    })
  })

  test("the administrator's key fits into the policy, and is never overwritten", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'downscope-admin-'))
    const script = join(repository, 'infra/admin-key/main.ts')
    const run = (...args: string[]) => runProgram(process.execPath, [script, ...args], { cwd: folder })
    const made = await run('new', 'admin.jwk.json')
    const signed = await run('sign', 'admin.jwk.json', brokerIssuer)
    const again = await run('new', 'admin.jwk.json')
    await rm(folder, { recursive: true })

    expect(() =>
      readPart(
        `issuers:\n  - name: ops\n    issuer: ops\n    keys:\n      jwks:\n        keys:\n          ${made.stdout}admins: []\n`,
      ),
    ).not.toThrow()
    expect(signed.stdout).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect(again).toMatchObject({ status: 1, stdout: '' })
  })
})

async function judge(path: string, { language, text }: CodeBlock): Promise<void> {
  switch (language) {
    case 'yaml':
      // A Pod's spec is no policy, and only has to be YAML.
      if (path === 'docs/policy.md') readPart(text)
      else parse(text)
      break
    case 'json':
      jsonMembers(text)
      break
    case 'text':
      break
    case 'sh':
      expect(await runProgram('bash', ['-n', '-c', text], { cwd: tmpdir() })).toMatchObject({
        status: 0,
        stderr: '',
      })
      break
    default:
      throw new Error(`nobody knows how to judge a block of "${language}"`)
  }
}

/** A policy, or a part of one that is completed with the issuers the guide speaks of. */
function readPart(text: string): void {
  const part: unknown = parse(text)
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

function readPage(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}

function exists(path: string): boolean {
  try {
    readdirSync(join(repository, path))
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
  }
}
