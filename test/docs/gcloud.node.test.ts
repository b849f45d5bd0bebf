import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { commandLines } from '../support/command-lines.ts'
import { blocks } from '../support/guides.ts'

/** Guides are held to gcloud's own tree of commands, which its SDK keeps for completion: each command, flag and closed value. */
interface Command {
  readonly commands: Readonly<Record<string, Command>>
  readonly flags: Readonly<Record<string, string | readonly string[]>>
}
const command: z.ZodType<Command> = z.object({
  commands: z.record(
    z.string(),
    z.lazy(() => command),
  ),
  flags: z.record(z.string(), z.union([z.string(), z.array(z.coerce.string())])),
})
const sdk = sdkFolder()
const calls = blocks
  .filter(({ block }) => block.language === 'sh')
  .flatMap(({ path, block }) =>
    commandLines(block.text, 'gcloud').map((words) => ({
      line: `${path}:${block.line} gcloud ${words.join(' ')}`,
      words,
    })),
  )

describe.skipIf(sdk === undefined)('the gcloud commands of the guides', () => {
  const tree = readTree(sdk ?? '')

  test('are found', () => {
    expect(calls.length).toBeGreaterThan(40)
  })

  test.each(calls)('$line', ({ words }) => {
    expect(faultsOf(words, tree)).toEqual([])
  })

  test.each([
    ['run deploi downscope', ['no command: run deploi']],
    ['run deploy downscope --regoin x', ['run deploy has no --regoin']],
    [
      'firestore databases create --type=mongo',
      ['--type is one of datastore-mode, firestore-native, not mongo'],
    ],
    ['run deploy downscope --region', ['--region needs a value']],
  ])('gcloud %s would be found', (line, faults) => {
    expect(faultsOf(line.split(' '), tree)).toEqual(faults)
  })
})

function faultsOf(words: readonly string[], tree: Command): readonly string[] {
  let at = tree
  const path: string[] = []
  const flags = new Map(Object.entries(at.flags))
  const faults: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (word.startsWith('-') && word !== '-') {
      const [name = '', given] = word.split(/=(.*)/s)
      const values =
        flags.get(name) ??
        (name.startsWith('--no-') ? flags.get(`--${name.slice('--no-'.length)}`) : undefined)
      if (values === undefined) {
        faults.push(`${path.join(' ')} has no ${name}`)
        continue
      }
      if (values === 'bool') continue
      const value = given ?? words[(index += 1)]
      if (value === undefined || value.startsWith('--')) faults.push(`${name} needs a value`)
      else if (
        Array.isArray(values) &&
        !value.includes('$') &&
        !values.includes(value.toLowerCase().replaceAll('_', '-'))
      )
        faults.push(`${name} is one of ${values.join(', ')}, not ${value}`)
      continue
    }
    const next = at.commands[word]
    if (next === undefined) {
      // What follows a command is its arguments; what follows a group must be a command of it.
      if (Object.keys(at.commands).length > 0) return [...faults, `no command: ${[...path, word].join(' ')}`]
      continue
    }
    at = next
    path.push(word)
    for (const [name, values] of Object.entries(at.flags)) flags.set(name, values)
  }
  if (Object.keys(at.commands).length > 0) faults.push(`${path.join(' ')} is a group`)
  return faults
}

function readTree(folder: string): Command {
  const text = readFileSync(join(folder, 'data/cli/gcloud_completions.py'), 'utf8')
  return command.parse(JSON.parse(text.slice(text.indexOf('{'))))
}

/** Undefined where gcloud is not installed; `.ci/run` demands it. */
function sdkFolder(): string | undefined {
  try {
    const program = execFileSync('sh', ['-c', 'command -v gcloud'], { encoding: 'utf8' }).trim()
    return dirname(dirname(realpathSync(program)))
  } catch {
    return undefined
  }
}
