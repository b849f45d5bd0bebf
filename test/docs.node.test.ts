import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { toJSONSchema } from 'zod/mini'

import { buildOpenApi } from '../infra/docs/openapi/build-openapi.ts'
import { fullScopeName, scopesImpliedBy, shortScopeName } from '../src/authorize/implied-scopes.ts'
import { parsePolicy } from '../src/authorize/parse-policy.ts'
import {
  adminSchema,
  issuerSchema,
  policyDocumentSchema,
  ruleSchema,
  upstreamSchema,
} from '../src/authorize/policy-schema.ts'
import { scopeCatalogue } from '../src/authorize/scope-catalogue.ts'
import { readSettings } from '../src/config.ts'
import { clientSettingNames } from '../src/config/client-setting-names.ts'
import { settingsTable } from '../src/config/settings-table.ts'
import { answers } from '../src/http/answers.ts'
import openApi from '../src/http/openapi.json' with { type: 'json' }
import { layers } from './support/architecture.ts'
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

const testFiles = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `test/${name}`)

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
    const own = Object.values(settingsTable).map(({ name }) => name)
    const known = new Set<string>([...own, ...clientSettingNames])
    const named = [...text.matchAll(/\bDOWNSCOPE_[A-Z_]*[A-Z]\b/g)].map(([name]) => name)

    expect(named.filter((name) => !known.has(name))).toEqual([])
  })
})

test('the OpenAPI document is the one that the code makes (else: npm run docs:openapi)', () => {
  expect(openApi).toEqual(JSON.parse(JSON.stringify(buildOpenApi())))
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

describe('docs/policy.md', () => {
  test('has an example of every key that a policy may have', () => {
    const examples = blocks
      .filter(({ path, block }) => path === 'docs/policy.md' && block.language === 'yaml')
      .flatMap(({ block }) => keysOf(parse(block.text)))
    const schemas = [policyDocumentSchema, issuerSchema, upstreamSchema, ruleSchema, adminSchema]
    const keys = schemas.flatMap((schema) =>
      keysAllowedBy(toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })),
    )

    expect(keys.filter((key) => !examples.includes(key))).toEqual([])
    expect(new Set(keys).size).toBeGreaterThan(40)
  })

  test('tells of every scope in the catalogue what it implies, and of no other', () => {
    const table = readPage('docs/policy.md').split('| Scope | Implies')[1]?.split('\n\n')[0] ?? ''
    const told = [...table.matchAll(/^\| `(.+?)` \| (.+?) \|/gm)].map(([, scope = '', implied = '']) => [
      scope,
      [...implied.matchAll(/`(.+?)`/g)].map(([, name]) => name).toSorted(),
    ])
    const scopes = new Set(
      scopeCatalogue.map(({ scope }) => scope).filter((scope) => !scope.startsWith('userinfo')),
    )
    const known = [...scopes].map((scope) => [
      scope,
      [...scopesImpliedBy(fullScopeName(scope))].map(shortScopeName).toSorted(),
    ])

    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(known))
    expect(known.length).toBeGreaterThan(15)
  })
})

describe('docs/security.md', () => {
  const rows = [...readPage('docs/security.md').matchAll(/^\| (P\d+) \|(.*)$/gm)]

  test('has every promise once, in order', () => {
    expect(rows.map(([, id]) => id)).toEqual(Array.from({ length: 29 }, (_, index) => `P${index + 1}`))
  })

  test.each(rows.map(([, id = '', rest = '']) => ({ id, rest })))(
    '$id names files that run, each with a test that carries its id',
    ({ id, rest }) => {
      const files = [...rest.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? '')

      expect(files.filter((file) => !idsCarried(readPage(file)).has(id))).toEqual([])
      expect(files.filter((file) => !runs(file))).toEqual([])
      expect(files.length > 0 || rest.includes('*not yet*')).toBe(true)
    },
  )

  test('a test carries no id that is no promise', () => {
    const known = new Set(rows.map(([, id]) => id))
    const carried = testFiles.map((file) => [...idsCarried(readPage(file))].map((id) => `${id} in ${file}`))

    expect(carried.flat().filter((place) => !known.has(place.split(' ')[0]))).toEqual([])
    expect(carried.flat().length).toBeGreaterThan(100)
  })

  test('an id in a comment, or another id that begins alike, is not carried', () => {
    expect([...idsCarried("// P1: no\n  test('P15, P16: yes', () => {})")]).toEqual(['P15', 'P16'])
  })
})

describe('src/README.md', () => {
  const map = readPage('src/README.md')
  const rows = [...map.matchAll(/^\| (.+?) \| (.+?) \| (.+?) \|$/gm)].map(
    ([, name = '', where = '', may = '']) => ({
      names: name.replace(/:.*/, '').split(', '),
      paths: [...where.matchAll(/`([\w/-]+(?:\/|\.ts))`/g)].map(([, path]) => `src/${path}`),
      may,
    }),
  )

  test.each(layers.map((layer) => ({ name: layer.name, layer })))(
    'tells of $name where it is and what it may import, as the architecture test holds it',
    ({ name, layer }) => {
      const row = rows.find(({ names }) => names.includes(name))
      const [own = '', types = ''] = (row?.may ?? '')
        .replace(/; (?:never|rooms arrive).*/, '')
        .split(/(?:; |^)types of /)

      expect(row?.paths.some((path) => layer.where.test(path.replace(/\/$/, '/x.ts')))).toBe(true)
      expect(namedIn(own)).toEqual(layer.from.toSorted())
      expect(namedIn(types)).toEqual([...(layer.typesFrom ?? [])].toSorted())
    },
  )

  test('names every folder of the adapters, and no file that is not there', () => {
    const folders = readdirSync(join(repository, 'src/adapters'), { withFileTypes: true })
    const missing = folders.filter((entry) => entry.isDirectory() && !map.includes(`\`${entry.name}/`))
    const files = [...map.matchAll(/`((?:\w+\/)?[\w/-]+\.ts)`/g)].map(([, file]) => file ?? '')

    expect(missing).toEqual([])
    expect(files.filter((file) => !exists(`src/${file}`) && !exists(file))).toEqual([])
    expect(files.length).toBeGreaterThan(10)
  })

  const namedIn = (words: string): readonly string[] => {
    const every = layers.map(({ name }) => name).filter((name) => name !== 'doors' && name !== 'command line')
    const rooms = rows.find(({ names }) => names.includes('mint'))?.names ?? []
    if (words === 'everything') return every.toSorted()
    const named: readonly string[] = words.match(/[a-z]+/g) ?? []
    return every
      .filter((name) => named.includes(name) || (named.includes('rooms') && rooms.includes(name)))
      .toSorted()
  }
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
})

async function judge(path: string, { language, text }: CodeBlock): Promise<void> {
  switch (language) {
    case 'yaml':
      // A Pod's spec is no policy, and only has to be YAML.
      if (path === 'docs/policy.md' || path === 'docs/upstreams.md') readPart(text)
      else parse(text)
      break
    case 'json':
      jsonMembers(text)
      break
    case 'text':
      break
    case 'toml':
      // deploy-workers.node.test.ts gives it to wrangler.
      expect(path).toBe('docs/deploy-workers.md')
      break
    case 'http':
      // broker/admin-api-guide.node.test.ts sends each to a broker.
      expect(path).toBe('docs/admin-api.md')
      break
    case 'js':
      await runScript(text)
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

/** The promises in the names of tests: `P1: …`, or `P15, P16: …`. */
function idsCarried(text: string): ReadonlySet<string> {
  const code = text.replaceAll(/^\s*\/\/.*$/gm, '')
  const names = [...code.matchAll(/['"`]((?:P\d+, )*P\d+):/g)]
  return new Set(names.flatMap(([, ids = '']) => ids.split(', ')))
}

/** Whether vitest runs it, or a file that vitest runs imports it. */
function runs(file: string): boolean {
  if (file.endsWith('.test.ts')) return true
  const importing = file.replace(/^.*\//, '/')
  return testFiles.some((other) => other.endsWith('.test.ts') && readPage(other).includes(`${importing}'`))
}

/** Every member's name in a document, at any depth. */
function keysOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const names = Array.isArray(value) ? [] : Object.keys(value)
  return [...names, ...Object.values(value).flatMap(keysOf)]
}

/** Likewise, of what a JSON Schema describes. */
function keysAllowedBy(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === 'properties' ? Object.keys(value as object) : []),
    ...keysAllowedBy(value),
  ])
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
