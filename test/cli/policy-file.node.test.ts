import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createEntropy, createSystemClock } from '../../src/adapters/system/clock-and-entropy.ts'
import { createSqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { makeFirstFiles } from '../../src/cli/dev/first-files.ts'
import { keepPolicyFile } from '../../src/cli/dev/policy-file.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { until } from '../support/test-broker/until.ts'

/** The folder of `downscope dev`: its policy file, and the store beside it. */
function createFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-policy-file-'))
  const [file, path] = [join(folder, 'policy.yaml'), join(folder, 'store.db')]
  makeFirstFiles(folder)
  const clock = createSystemClock()
  const { store, close } = createSqliteStore({ path, clock })
  const policies = createPolicies({ store, clock, newId: createEntropy().uuid })
  onTestFinished(() => {
    close()
    rmSync(folder, { recursive: true, force: true })
  })
  const said: string[] = []
  return {
    policies,
    said,
    first: readFileSync(file, 'utf8'),
    inFile: () => readFileSync(file, 'utf8'),
    edit: (text: string) => writeFileSync(file, text),
    /** As if it was edited so many seconds from now. */
    touch: (seconds: number) => utimesSync(file, Date.now() / 1000, Date.now() / 1000 + seconds),
    inStore: async () => (await policies.read())?.text,
    /** As the console does. */
    apply: async (text: string) =>
      policies.apply({ text, expected: (await policies.read())?.revision, by: 'people/ann' }),
    keep: async () => {
      const end = await keepPolicyFile({
        file,
        store: path,
        broker: 'http://127.0.0.1:8080',
        say: (lines) => void said.push(...lines),
      })
      let isOver = false
      const once = async () => {
        if (!isOver) await end()
        isOver = true
      }
      onTestFinished(once)
      return once
    },
  }
}

test('the first start makes the file version 1, and a change of either comes into the other', async () => {
  const { first, policies, keep, edit, apply, inFile, inStore, said } = createFolder()
  await keep()
  expect(await inStore()).toBe(first)
  edit(`${first}# edited\n`)
  await until('the edited file is in the store', async () => (await inStore()) === `${first}# edited\n`)
  await apply(`${first}# from the console\n`)
  await until('the store is in the file', () => inFile() === `${first}# from the console\n`)

  expect((await policies.history()).map(({ number, by }) => [number, by])).toEqual([
    [3, 'people/ann'],
    [2, 'policy.yaml'],
    [1, 'policy.yaml'],
  ])
  expect(said).toEqual(['policy.yaml is applied', 'policy.yaml has what people/ann applied'])
})

test('a file with faults changes nothing, says each at its line, and is not overwritten', async () => {
  const { first, keep, edit, apply, inFile, inStore, said } = createFolder()
  await keep()
  const wrong = first.replace('version: 1', 'version: 9')
  edit(wrong)
  await until('the faults are said', () => said.some((line) => line.includes('stays in force')))
  expect(said[0]).toMatch(/^policy\.yaml:\d+:\d+ version/)
  await apply(`${first}# from the console\n`)
  edit(`${wrong}# still\n`)
  await until('it is looked at again', () => said.filter((line) => line.includes('stays')).length === 2)
  expect([await inStore(), inFile()]).toEqual([`${first}# from the console\n`, `${wrong}# still\n`])
})

test.each([
  ['the file, where that was edited last', false],
  ['the store, where that was changed last', true],
])('of two that were changed between two starts, what counts is %s', async (_, isFileOld) => {
  const { first, keep, edit, apply, inFile, inStore, touch } = createFolder()
  await (
    await keep()
  )()
  await apply(`${first}# from the console\n`)
  edit(`${first}# edited\n`)
  touch(isFileOld ? -10 : 10)
  await keep()
  const wanted = isFileOld ? `${first}# from the console\n` : `${first}# edited\n`
  await until('both are the same', async () => inFile() === wanted && (await inStore()) === wanted)
})

test('a first file with faults is refused whole', async () => {
  const { first, keep, edit, policies } = createFolder()
  edit(first.replace('version: 1', 'version: 9'))
  await expect(keep()).rejects.toThrow(/^policy\.yaml:\d+:\d+ version/)
  expect(await policies.history()).toEqual([])
})
