import { spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createSqliteStore, sqliteError, type SqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { describeDocumentStore } from './document-store-contract.ts'

describeDocumentStore('sqlite', ({ clock }) =>
  createSqliteStore({ path: join(newFolder(), 'store.db'), clock }),
)

describe('an SQLite store on the disk', () => {
  test('survives a restart, versions and expiry included', async () => {
    const path = join(newFolder(), 'store.db')
    const first = open(path)
    const expiresAt = epochSeconds(1_800_000_010)
    const version = await first.store.put('things/one', { n: 1 }, { expiresAt })
    first.close()

    const { store } = open(path)

    expect(await store.get('things/one')).toStrictEqual({
      key: 'things/one',
      value: { n: 1 },
      version,
      expiresAt,
    })
  })

  test('whoever reads it page by page lets others in between', async () => {
    const { store } = open(join(newFolder(), 'store.db'))
    for (const name of ['a', 'b', 'c']) await store.put(`things/${name}`, {})
    let isRead = false
    const reading = (async () => {
      for (const after of ['things/', 'things/a', 'things/b'])
        await store.list({ prefix: 'things/', after, limit: 1 })
      isRead = true
    })()
    await new Promise((resolve) => setImmediate(resolve))

    expect(isRead).toBe(false)
    await reading
  })

  test('P25: a document that is no JSON object hides none of the others in a list', async () => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    await store.put('things/one', { n: 1 })
    await store.put('things/two', { n: 2 })
    const other = new DatabaseSync(path)
    other.exec(`UPDATE documents SET json = '[]' WHERE key = 'things/one'`)
    other.close()

    const listed = await store.list({ prefix: 'things/', limit: 10 })

    expect(listed.map(({ key, value }) => [key, value])).toEqual([
      ['things/one', {}],
      ['things/two', { n: 2 }],
    ])
    expect(await store.get('things/one')).toEqual(listed[0])
  })

  test('P6: of creates that share a transaction, one that fails takes none of the others with it', async () => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    const create = (key: string) => store.put(key, { by: key }, { if: 'absent' })
    await create('things/taken')
    const other = new DatabaseSync(path)
    other.exec(`CREATE TRIGGER refuse BEFORE INSERT ON documents WHEN NEW.key = 'things/refused'
      BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END`)
    other.close()

    const keys = ['things/one', 'things/taken', 'things/refused', 'things/two']
    const outcomes = await Promise.allSettled(keys.map(create))

    expect(outcomes.map((one) => (one.status === 'fulfilled' ? typeof one.value : 'failed'))).toEqual([
      'string',
      'undefined',
      'failed',
      'string',
    ])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'store_unavailable' } })
    const reader = new DatabaseSync(path)
    const kept = reader.prepare('SELECT key FROM documents ORDER BY key').all()
    reader.close()
    expect(kept.map(({ key }) => key)).toEqual(['things/one', 'things/taken', 'things/two'])
    // The refused one is created as if nothing had happened once nothing refuses it.
    const later = new DatabaseSync(path)
    later.exec('DROP TRIGGER refuse')
    later.close()
    expect(await create('things/refused')).toBeTypeOf('string')
  })

  test('is its owner’s alone: a new folder 0700, the file and its companions 0600', async () => {
    const folder = join(newFolder(), 'a', 'b')
    const { store } = open(join(folder, 'store.db'))
    await store.put('things/one', {})

    const modes = [
      folder,
      join(folder, '..'),
      ...['', '-wal', '-shm'].map((end) => join(folder, `store.db${end}`)),
    ]
    expect(modes.map(modeOf)).toStrictEqual([0o700, 0o700, 0o600, 0o600, 0o600])
  })

  test('a file of ours that others could read is closed to them, and a folder that was there is left alone', () => {
    const folder = join(newFolder(), 'shared')
    mkdirSync(folder)
    chmodSync(folder, 0o755)
    const path = join(folder, 'store.db')
    open(path).close()
    chmodSync(path, 0o644)

    open(path)

    expect([modeOf(path), modeOf(folder)]).toStrictEqual([0o600, 0o755])
  })

  test('two connections see each other’s writes at once and refuse each other’s stale versions', async () => {
    const path = join(newFolder(), 'store.db')
    const [one, two] = [open(path).store, open(path).store]
    const version = await one.put('things/one', { n: 1 })
    if (version === undefined) throw new Error('not written')

    expect(await two.put('things/one', { n: 2 }, { if: 'absent' })).toBeUndefined()
    expect(await two.put('things/one', { n: 2 }, { if: { version } })).toBeDefined()
    expect(await one.put('things/one', { n: 3 }, { if: { version } })).toBeUndefined()
    expect((await one.get('things/one'))?.value).toStrictEqual({ n: 2 })
  })

  test('four processes that open a new file at once and count together lose no count', async () => {
    const path = join(newFolder(), 'deep', 'store.db')
    const script = `
      import { createSqliteStore } from './src/adapters/sqlite/sqlite-store.ts'
      const { store, close } = createSqliteStore({ path: process.argv[1], clock: { now: () => 1800000000 } })
      // SQLite has no queue: beside a quick writer on a busy machine another one may wait in vain, and nothing was done.
      const put = async (...given) => {
        for (;;)
          try {
            return await store.put(...given)
          } catch (error) {
            if (error.code !== 'store_unavailable' || !error.reason.includes('kept the database locked')) throw error
          }
      }
      let creations = 0
      for (let n = 0; n < 50; n += 1) {
        if (await put('replays/' + n, {}, { if: 'absent', expiresAt: 1800000300 })) creations += 1
        for (;;) {
          const found = await store.get('things/count')
          const count = (found?.value.count ?? 0) + 1
          const condition = found === undefined ? 'absent' : { version: found.version }
          if (await put('things/count', { count }, { if: condition })) break
        }
      }
      close()
      console.log(creations)`

    const outputs = await Promise.all([1, 2, 3, 4].map(() => runNode(script, path)))

    expect(outputs.map(({ stderr }) => stderr)).toStrictEqual(['', '', '', ''])
    expect(outputs.reduce((sum, { stdout }) => sum + Number(stdout), 0)).toBe(50)
    expect((await open(path).store.get('things/count'))?.value).toStrictEqual({ count: 200 })
  })

  test('P16: what was put is there after kill -9', async () => {
    const path = join(newFolder(), 'store.db')
    const script = `
      import { createSqliteStore } from './src/adapters/sqlite/sqlite-store.ts'
      const { store } = createSqliteStore({ path: process.argv[1], clock: { now: () => 1800000000 } })
      await store.put('credentials/a', { refresh: 2 })
      await store.put('replays/b', {}, { expiresAt: 1800000300 })
      process.kill(process.pid, 'SIGKILL')`

    expect(await runNode(script, path)).toMatchObject({ signal: 'SIGKILL', stderr: '' })

    const { store } = open(path)
    expect((await store.get('credentials/a'))?.value).toStrictEqual({ refresh: 2 })
    expect(await store.get('replays/b')).toBeDefined()
  })

  test('P24: the log is copied into the file, and grows to 20 MB at most', async () => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    // SQLite writes no page that stays as it is.
    for (let n = 0; n < 120; n += 1) await store.put('things/one', { text: String(n % 7).repeat(400_000) })

    const bytes = statSync(`${path}-wal`).size
    expect(bytes).toBeGreaterThan(10_000_000)
    expect(bytes).toBeLessThan(20_000_000)
  })

  test('P24: documents long expired are swept, an hour later and not before', async () => {
    const path = join(newFolder(), 'store.db')
    const clock = createFakeClock()
    const { store } = open(path, clock)
    const put = async (from: number, count: number): Promise<void> => {
      for (let n = from; n < from + count; n += 1) {
        await store.put(`replays/${n}`, {}, { if: 'absent', expiresAt: epochSeconds(clock.now() + 300) })
      }
    }
    await store.put('credentials/a', {})

    await put(0, 500)
    clock.jump(300 + 3599)
    await put(1000, 128)
    expect(countRows(path)).toBe(629)
    clock.jump(1)
    await put(2000, 192)

    expect(countRows(path)).toBe(1 + 128 + 192)
    expect(await store.get('credentials/a')).toBeDefined()
  })
})

describe('an SQLite store that cannot be had says why', () => {
  const refusal = (path: string): unknown => {
    try {
      open(path)
    } catch (error) {
      return error
    }
    return undefined
  }

  test('a file that is no database', () => {
    const path = join(newFolder(), 'store.db')
    writeFileSync(path, 'a policy document, say, that is long enough for a header\n'.repeat(30))
    const before = readFileSync(path)

    const reason = `SQLite store ${path}: the file is not an SQLite database`
    expect(refusal(path)).toMatchObject({ code: 'store_unavailable', reason })
    expect(readFileSync(path)).toStrictEqual(before)
  })

  test('a database of another application, which is left as it was', () => {
    const path = join(newFolder(), 'other.db')
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE documents (theirs TEXT)')
    other.close()
    const before = readFileSync(path)

    const reason = `SQLite store ${path}: the database belongs to another application`
    expect(refusal(path)).toMatchObject({ code: 'store_unavailable', reason })
    expect(readFileSync(path)).toStrictEqual(before)
  })

  test('a layout of a later release', () => {
    const path = join(newFolder(), 'store.db')
    open(path).close()
    const later = new DatabaseSync(path)
    later.exec('PRAGMA user_version = 2')
    later.close()

    const reason = `SQLite store ${path}: layout 2 is not known here, only 1`
    expect(refusal(path)).toMatchObject({ code: 'store_unavailable', reason })
  })

  test('a folder in place of the file, a file in place of the folder', () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'file'), '')

    const reason = `SQLite store ${folder}: the file cannot be opened (EISDIR)`
    expect(refusal(folder)).toMatchObject({ code: 'store_unavailable', reason })
    expect(refusal(join(folder, 'file', 'store.db'))).toMatchObject({
      code: 'store_unavailable',
      reason: `SQLite store ${join(folder, 'file', 'store.db')}: the file cannot be opened (EEXIST)`,
    })
  })

  test('a file that was corrupted, at the call that meets it', async () => {
    const path = join(newFolder(), 'store.db')
    const first = open(path)
    for (let n = 0; n < 200; n += 1) await first.store.put(`things/${n}`, { text: 'x'.repeat(1000) })
    first.close()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0xa5, 8192))

    await expect(open(path).store.list({ prefix: 'things/', limit: 1000 })).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: `SQLite store ${path}: the file is corrupt`,
    })
  })

  test('a closed store', async () => {
    const path = join(newFolder(), 'store.db')
    const { store, close } = open(path)
    close()
    close()

    const reason = `SQLite store ${path}: it is closed`
    await expect(store.get('things/one')).rejects.toMatchObject({ code: 'store_unavailable', reason })
    await expect(store.put('things/one', {})).rejects.toMatchObject({ code: 'store_unavailable', reason })
  })

  test('a file that another process keeps locked', async () => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')

    const reason = `SQLite store ${path}: another process kept the database locked`
    await expect(store.put('things/one', {})).rejects.toMatchObject({ code: 'store_unavailable', reason })
    expect(await store.get('things/one')).toBeUndefined()
    other.exec('ROLLBACK')
    other.close()
    expect(await store.put('things/one', {})).toBeDefined()
  })

  test('a locked file stops nobody: no call waits within SQLite, and after one in vain none waits at all', async () => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    await store.put('things/one', { n: 1 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    onTestFinished(() => other.close())

    // Each stood still for 2 s, one after another.
    const calls = Array.from({ length: 10 }, (_, n) => store.put(`things/${n}`, {}))
    let turns = 0
    const heart = setInterval(() => (turns += 1), 10)
    expect((await store.get('things/one'))?.value).toStrictEqual({ n: 1 })
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toStrictEqual(
      calls.map(() => 'rejected'),
    )
    clearInterval(heart)
    expect(turns).toBeGreaterThan(10)

    turns = 0
    const immediate = setImmediate(() => (turns += 1))
    await expect(store.put('things/one', {})).rejects.toMatchObject({ code: 'store_unavailable' })
    clearImmediate(immediate)
    expect(turns).toBe(0)
    other.exec('ROLLBACK')
    expect(await store.put('things/one', {})).toBeDefined()
  })

  // On a busy machine four processes that write to one file keep it locked for a fifth for longer than 2 s.
  test.each([100, 2_500])('a lock that is held for %i ms is waited for', async (heldMs) => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    onTestFinished(() => other.close())
    const put = store.put('things/one', {})
    setTimeout(() => other.exec('ROLLBACK'), heldMs)

    expect(await put).toBeDefined()
  })

  test.each([
    ['deleted', (path: string) => rmSync(path)],
    [
      'replaced',
      (path: string) => {
        renameSync(path, `${path}.old`)
        writeFileSync(path, '')
      },
    ],
  ])('a file that was %s: what is written would be lost', async (_, change) => {
    const path = join(newFolder(), 'store.db')
    const { store } = open(path)
    await store.put('things/one', {})
    change(path)

    const reason = `SQLite store ${path}: the file was deleted or replaced while it was open: restart the broker`
    const refused = { code: 'store_unavailable', reason }
    await expect(store.put('things/one', {})).rejects.toMatchObject(refused)
    await expect(store.delete('things/one')).rejects.toMatchObject(refused)
    expect(await store.get('things/one')).toBeDefined()
  })

  test.each([
    [
      'the disk is full',
      {},
      'PRAGMA max_page_count = 2; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))',
    ],
    ['the file or its folder is read-only', { readOnly: true }, 'CREATE TABLE t (x)'],
  ])('what SQLite itself answers: %s', (reason, options, sql) => {
    const path = join(newFolder(), 'any.db')
    new DatabaseSync(path).close()
    const connection = new DatabaseSync(path, options)
    onTestFinished(() => connection.close())

    expect(() => {
      try {
        connection.exec(sql)
      } catch (error) {
        throw sqliteError('P', error)
      }
    }).toThrow(expect.objectContaining({ code: 'store_unavailable', reason: `SQLite store P: ${reason}` }))
  })

  test('what SQLite itself answers and nobody expected: its result code', () => {
    const { reason } = sqliteError('P', Object.assign(new Error('out of memory'), { errcode: 7 }))

    expect(reason).toBe('SQLite store P: SQLite answered with result code 7')
  })
})

function open(path: string, clock: Clock = createFakeClock()): SqliteStore {
  const opened = createSqliteStore({ path, clock })
  onTestFinished(opened.close)
  return opened
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-sqlite-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}

function countRows(path: string): unknown {
  const connection = new DatabaseSync(path, { readOnly: true })
  const row = connection.prepare('SELECT count(*) AS n FROM documents').get()
  connection.close()
  return row?.['n']
}

async function runNode(script: string, argument: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, argument], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const signal = await new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)))
  return { stdout, stderr, signal }
}
