import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from './support/run-node.ts'

/**
 * Words that only this project used for what practitioners call otherwise, and words for people that leave half of them
 * out. A word in the plural, or as part of an identifier or of a file's name, counts too.
 */
const houseWords =
  /\b(?:hall|corridor|room|door|errand|wish|leash|octet by octet|mend(?:ing|ed)?|heed(?:ing|ed)?)(?:e?s)?\b|\bnobody to Google\b|\bhow (?:it|each|an instance|the broker) fares\b|\bto the octet\b/gi
const aboutMen = /\b(?:he|his|him|himself)\b/gi

const own = 'test/plain-english.node.test.ts'
const files = readFiles()

describe('Plain English', () => {
  test(`in ${files.size} files: no house word, and they instead of he`, () => {
    const slips = [...files].flatMap(([path, text]) => slipsIn(path, text))
    process.stdout.write(`plain English: ${files.size} files seen\n`)

    expect(slips).toEqual([])
  })

  test('every page and every folder was seen', () => {
    const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'src/README.md']
    const guides = readdirSync(join(repository, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`)
    const counts = ['docs', 'infra', 'src', 'test'].map((folder) => {
      return [...files.keys()].filter((path) => path.startsWith(`${folder}/`)).length
    })

    expect([...pages, ...guides].filter((path) => !files.has(path))).toEqual([])
    expect(Math.min(...counts)).toBeGreaterThan(15)
    expect(files.size).toBeGreaterThan(500)
  })

  test.each([
    ['docs/a.md', 'The corridor has rooms.', ['corridor', 'rooms']],
    ['docs/a.md', 'A caller gets what he asked for, and it is his.', ['he', 'his']],
    ['src/a.ts', 'export function heedingBlocks(): void', ['heeding']],
    ['src/a.ts', 'interface BrokerDoor {}', ['Door']],
    ['src/open-doors.ts', 'export const x = 1', ['doors']],
    ['src/a.ts', 'const HALL_WIDTH = 1', ['HALL']],
    ['src/a.ts', 'Absent where the broker is nobody to Google.', ['nobody to Google']],
  ])('a seeded slip is found: %s %s', (path, text, words) => {
    expect(slipsIn(path, text).map((slip) => slip.replace(/^.*: /, ''))).toEqual(words)
  })

  test('a longer word that contains one is not', () => {
    expect(slipsIn('docs/a.md', 'The chemist shall recommend a doorstep and a bedroom: she wished.')).toEqual(
      [],
    )
  })
})

/** `PATH:LINE: WORD` for each slip in a file's name and text. */
function slipsIn(path: string, text: string): readonly string[] {
  const inName = wordsIn(path).map((word) => `${path}: ${word}`)
  const inText = text
    .split('\n')
    .flatMap((line, index) => wordsIn(line).map((word) => `${path}:${index + 1}: ${word}`))
  return [...inName, ...inText]
}

/** Identifiers are taken apart: `heedingBlocks` and `HALL_WIDTH` are two words each. */
function wordsIn(line: string): readonly string[] {
  const words = line.replaceAll(/(?<=\p{Ll})(?=\p{Lu})|_/gu, ' ')
  return [houseWords, aboutMen].flatMap((pattern) => words.match(pattern) ?? [])
}

/** Every text that people read, by its path in the repository. */
function readFiles(): ReadonlyMap<string, string> {
  const top = readdirSync(repository).filter((name) => /\.(?:md|toml)$/.test(name))
  const below = ['docs', 'infra', 'src', 'test'].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:md|ts|mjs|sh|ya?ml|toml|json)$/.test(name))
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
  )
  const paths = [...top, ...below].filter((path) => path !== own)
  return new Map(paths.map((path) => [path, readFileSync(join(repository, path), 'utf8')]))
}
