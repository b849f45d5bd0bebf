import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createSqliteStore, type SqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { createBrokerWorld, type BrokerWorld, type WorldRequest } from './broker-world.ts'
import { codeBlocksOf } from './markdown-blocks.ts'
import { repository } from './run-node.ts'
import { jsonObject } from './test-broker/json.ts'

/** What came of damaging one document after the other. */
export interface Damage {
  readonly kinds: readonly string[]
  readonly tried: number
  /** Which questions were answered otherwise than before. */
  readonly harmed: readonly string[]
}

/**
 * Replaces a document of each kind by each kind of garbage and asks every question that is not about it, of an instance
 * that runs and of a new one. `only`: with these kinds of garbage alone.
 */
export async function damageEachDocument(only?: readonly string[]): Promise<Damage> {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-damaged-'))
  const path = join(folder, 'store.db')
  let opened: SqliteStore | undefined
  const world = await createBrokerWorld((clock) => {
    opened = createSqliteStore({ path, clock })
    return opened.store
  })
  const database = new DatabaseSync(path)
  try {
    await fill(world)
    addExamples(database)
    return await damageAll(world, database, only)
  } finally {
    database.close()
    opened?.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function damageAll(
  world: BrokerWorld,
  database: DatabaseSync,
  only: readonly string[] | undefined,
): Promise<Damage> {
  const all = rowsOf(database)
  const before = await askAll(world, 0)
  const broken = [...before].filter(([, status]) => status >= 300)
  if (broken.length > 0) throw new Error(`answered before anything was damaged: ${JSON.stringify(broken)}`)
  const damaged = new Map(all.filter((row) => !isAsked(row)).map((row) => [kindOf(row), row]))
  const harmed: string[] = []
  let tried = 0
  for (const row of damaged.values())
    for (const [what, json] of garbageOf(row, all)) {
      if (only?.includes(what) === false) continue
      overwrite(database, row.key, json)
      await world.clock.advance(11_000)
      for (const at of [0, world.addInstance()])
        for (const [line, status] of await askAll(world, at)) {
          tried += 1
          const who = at === 0 ? 'an instance that runs' : 'a new instance'
          if (status !== before.get(line))
            harmed.push(`${line} at ${who}: ${status}, with ${what} in ${row.key}`)
        }
      overwrite(database, row.key, row.json)
    }
  return { kinds: [...damaged.keys()], tried, harmed }
}

/** A document of each kind, of somebody whom the questions below are not about. */
async function fill(world: BrokerWorld): Promise<void> {
  await world.enrol('team')
  // In the order of the store before and behind the one that is asked for.
  await world.enrol('aaa')
  await world.enrol('zzz')
  await world.ask()
  await world.ask(0, 'deputy')
  const act = (line: string, body: object) => world.call(line, { as: 'ops', body })
  await act('POST /v1/admin/callers:revoke', { issuer: 'reports', subject: 'reports' })
  await act('POST /v1/admin/credentials/zzz/versions', {
    ...world.newSecret('1//other'),
    withdraw_former: false,
  })
  await act('POST /v1/admin/maintenance:run', {})
  await world.clock.advance(11_000)
}

/** Of the collections that nothing was written to, as docs/records.md shows them. */
function addExamples(database: DatabaseSync): void {
  const written = new Set(rowsOf(database).map(({ key }) => collectionOf(key)))
  const insert = database.prepare("INSERT INTO documents (key, json, version) VALUES (?, ?, 'example')")
  for (const { language, note, text } of codeBlocksOf(
    readFileSync(join(repository, 'docs/records.md'), 'utf8'),
  ))
    if (language === 'json' && !written.has(collectionOf(note)))
      insert.run(note, JSON.stringify(jsonObject(text)))
}

interface Question extends WorldRequest {
  readonly line: string
}

const policyDocument = 'version: 1\nissuers: []\nrules: []\n'
/** What somebody else may ask: none of it is about the document that is damaged. */
const questions: readonly Question[] = [
  { line: 'GET /healthz' },
  { line: 'GET /readyz' },
  { line: 'GET /.well-known/oauth-authorization-server' },
  { line: 'GET /v1/admin/credentials', as: 'ops' },
  { line: 'GET /v1/admin/credentials/team', as: 'ops' },
  { line: 'GET /v1/admin/credentials/team/versions', as: 'ops' },
  { line: 'POST /v1/admin/credentials/team:disable', as: 'ops' },
  { line: 'POST /v1/admin/credentials/team:enable', as: 'ops' },
  { line: 'GET /v1/admin/policy', as: 'ops' },
  { line: 'GET /v1/admin/policy/versions', as: 'ops' },
  { line: 'GET /v1/admin/policy/versions/first', as: 'ops' },
  {
    line: 'POST /v1/admin/policy:explain',
    as: 'ops',
    body: { issuer: 'billing', claims: { sub: 'billing' }, credential: 'team' },
  },
  {
    line: 'POST /v1/admin/policy:validate',
    as: 'ops',
    body: policyDocument,
    headers: { 'content-type': 'application/yaml' },
  },
  { line: 'POST /v1/admin/policy:suggest', as: 'ops', body: {} },
  { line: 'POST /v1/admin/keys:rewrap', as: 'ops', body: {} },
  { line: 'POST /v1/admin/maintenance:run', as: 'ops', body: {} },
  { line: 'GET /v1/admin/service', as: 'ops' },
  { line: 'POST /v1/admin/service:stop', as: 'ops' },
  { line: 'POST /v1/admin/service:resume', as: 'ops' },
  { line: 'GET /v1/admin/callers', as: 'ops' },
  { line: 'POST /v1/admin/callers:revoke', as: 'ops', body: { issuer: 'reports', subject: 'somebody' } },
  { line: 'POST /v1/admin/callers:restore', as: 'ops', body: { issuer: 'reports', subject: 'somebody' } },
  { line: 'GET /v1/admin/whoami', as: 'ops' },
  { line: 'GET /v1/admin/audit', as: 'ops' },
  { line: 'GET /v1/admin/events', as: 'ops' },
  { line: 'GET /v1/admin/summary', as: 'ops' },
  { line: 'GET /v1/admin/store', as: 'ops' },
]

async function askAll(world: BrokerWorld, at: number): Promise<ReadonlyMap<string, number>> {
  const statuses = new Map<string, number>()
  statuses.set('POST /v1/token', (await inTime(world, world.ask(at))).status)
  for (const { line, ...request } of questions)
    statuses.set(line, (await inTime(world, world.call(line, { ...request, at }))).status)
  return statuses
}

/**
 * What a store cannot say at once is waited for and asked again: the clock must go on meanwhile, and no faster than time
 * itself, or what is under way in other threads would seem late on a busy machine.
 */
async function inTime(world: BrokerWorld, asked: Promise<Response>): Promise<Response> {
  const answered = { yet: false }
  void asked.finally(() => (answered.yet = true))
  for (let atMs = performance.now(); !answered.yet;) {
    await new Promise((resolve) => setImmediate(resolve))
    const nowMs = performance.now()
    await world.clock.advance(nowMs - atMs)
    atMs = nowMs
  }
  return asked
}

interface Row {
  readonly key: string
  readonly json: string
}

function rowsOf(database: DatabaseSync): readonly Row[] {
  const all = database.prepare('SELECT key, json FROM documents ORDER BY key').all()
  return all.map(({ key, json }) => ({ key: String(key), json: String(json) }))
}

function overwrite(database: DatabaseSync, key: string, json: string): void {
  // A version of its own, as everything that is written has.
  database.prepare('UPDATE documents SET json = ?, version = hex(randomblob(8)) WHERE key = ?').run(json, key)
}

/** What may come of a document by another program, another version or a bad disk. */
function garbageOf({ json }: Row, others: readonly Row[]): ReadonlyMap<string, string> {
  const document = jsonObject(json) ?? {}
  const other = others.find((one) => one.json !== json)?.json ?? '{}'
  const changed = Object.entries(document).flatMap(
    ([name, value]) =>
      [
        [
          `without ${name}`,
          JSON.stringify(Object.fromEntries(Object.entries(document).filter(([one]) => one !== name))),
        ],
        [
          `${name} of another type`,
          JSON.stringify({ ...document, [name]: typeof value === 'string' ? 7 : 'x' }),
        ],
      ] as const,
  )
  return new Map([
    ['nothing', ''],
    ['half of it', json.slice(0, json.length / 2)],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"x"'],
    ['a number', '7'],
    ['no members', '{}'],
    ['a schema of the future', JSON.stringify({ ...document, schema: 99 })],
    ['another document', other],
    ['deep', `${'['.repeat(2_000)}${']'.repeat(2_000)}`],
    ...changed,
  ])
}

/** The collection; of credentials each, for they lie before and behind the one that is asked for. */
function kindOf({ key }: Row): string {
  return key.startsWith('credentials/') ? key : collectionOf(key)
}

function collectionOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

/** Of these the questions are asked themselves: what they hold decides. */
const isAsked = ({ key }: Row): boolean => key === 'credentials/team' || /^(?:policies|blocks)\//.test(key)
