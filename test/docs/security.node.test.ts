import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readPage } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

const testFiles = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `test/${name}`)

describe('docs/security.md', () => {
  const rows = [...readPage('docs/security.md').matchAll(/^\| (P\d+) \|(.*)$/gm)]

  test('has every promise of the first version, and each once, in order', () => {
    const numbers = rows.map(([, id = '']) => Number(id.slice(1)))
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
    expect(numbers.slice(0, 29)).toEqual(Array.from({ length: 29 }, (_, index) => index + 1))
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
