import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { replaceCliTables } from '../../infra/docs/cli-tables.ts'
import { clientSettings } from '../../src/cli/broker-url.ts'
import { commands, families, createProgram } from '../../src/cli/main.ts'
import { exitCodes } from '../../src/cli/fault.ts'
import { clientSettingNames } from '../../src/config/setting-faults.ts'
import { softwareVersion } from '../../src/domain/version.ts'
import { commandLines } from '../support/command-lines.ts'
import { codeBlocksOf } from '../support/markdown-blocks.ts'
import { repository } from '../support/run-node.ts'
import { runCli } from '../support/run-cli.ts'

/** What a newcomer reads: each command's help, and the command lines that help and guides show. */
const named = commands.map((command) => ({ name: command.name, command }))
const pages = [
  'README.md',
  ...readdirSync(join(repository, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const printed = pages.flatMap((page) =>
  codeBlocksOf(readFileSync(join(repository, page), 'utf8'))
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text, line }) => commandLines(text).map((words) => ({ place: `${page}:${line}`, words }))),
)

describe('downscope --help', () => {
  test('lists every command or its family, how to begin, and every exit status', async () => {
    const { status, stdout, stderr } = await runCli(['--help'])

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const { name, summary } of families)
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +${summary}`, 'm'))
    for (const { name } of commands) expect(stdout).toMatch(new RegExp(`^ {2}${name.split(' ')[0]} `, 'm'))
    for (const { code, means } of Object.values(exitCodes))
      expect(stdout).toMatch(new RegExp(`^ {2}${code} +${means}$`, 'm'))
    expect(stdout).toContain('downscope dev')
    expect(stdout).toMatch(/^Environment:\n {2}DOWNSCOPE_URL, and DOWNSCOPE_ADMIN_KEY or /m)
  })

  test('without a command it is shown, with status 2', async () => {
    const { status, stderr } = await runCli([])

    expect(status).toBe(2)
    expect(stderr).toContain('Commands:')
  })

  test('--version prints the version alone', async () => {
    expect(await runCli(['--version'])).toEqual({ status: 0, stdout: `${softwareVersion}\n`, stderr: '' })
  })
})

test('credentials import --help shows what an upstream besides Google is enrolled with', async () => {
  const { stdout } = await runCli(['credentials', 'import', '--help'])

  for (const word of ['oauth_refresh_token', 'oauth_client_credentials', 'private_key'])
    expect(stdout).toContain(`"${word}"`)
})

describe.each(named)('downscope $name --help', ({ name, command }) => {
  test('says what it does, in lines that fit, with examples and every option', async () => {
    const { status, stdout, stderr } = await runCli([...name.split(' '), '--help'])

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`Usage: downscope ${name}`)
    expect(stdout).toContain('Examples:\n  ')
    for (const option of command.options ?? []) expect(stdout).toContain(option.name)
    for (const argument of command.arguments ?? []) expect(stdout).toContain(argument.name)
    expect(
      stdout
        .slice(0, stdout.indexOf('Examples:'))
        .split('\n')
        .filter((line) => line.length > 100),
    ).toEqual([])
  })

  test('every example of it can be given', () => {
    expect(command.examples.length).toBeGreaterThan(0)
    for (const example of command.examples) {
      const [words, ...more] = commandLines(example)
      expect(more).toEqual([])
      expect(words?.join(' ')).toMatch(new RegExp(`^${name}(?: |$)`))
      expect(faultOf(words ?? [])).toBeUndefined()
    }
  })

  test('a secret is never an argument: values are names, numbers, URLs and files', () => {
    const values = (command.options ?? []).flatMap(({ value }) => (value === undefined ? [] : [value]))
    const words = (command.arguments ?? []).map((argument) => argument.name)

    expect([...values, ...words].filter((value) => !harmless.has(value))).toEqual([])
  })

  test('--json is there where something is answered', () => {
    const silent = ['dev', 'completion', 'agent', 'agent exec', 'jwt', 'credential-file']
    const options = (command.options ?? []).map((option) => option.name)

    expect(options.includes('--json') || silent.includes(name)).toBe(true)
  })
})

const harmless: ReadonlySet<string> = new Set([
  'TEXT',
  'STATE',
  'ORDER',
  'REVISION',
  'ISS',
  'N',
  'OUTCOME',
  'ACTION',
  'TIME',
  'REQUEST',
  'FILE',
  'FROM',
  'TO',
  'PATH',
  'NAME',
  'URL',
  'URI',
  'SCOPE',
  'ALG',
  'PORT',
  'SECONDS',
  'HOURS',
  'USER',
  'CREDENTIAL',
  'KIND',
  'SHELL',
  'VERSION',
  'ID',
  'DAYS',
  'CLAIM',
  'TYPE',
  'ISSUER',
  'SUBJECT',
  'SOURCE',
  'HOST',
  'COMMAND',
  'NUMBER',
  'ALIAS=CREDENTIAL',
  'ALIAS=EMAIL',
])

describe('the guides', () => {
  test('what the command line reads from the environment stops no broker', () => {
    expect(Object.values(clientSettings).map(({ name }) => name)).toEqual(clientSettingNames)
  })

  test('get, ls and delete are show, list and destroy', async () => {
    for (const [alias, name] of [
      ['get', 'show'],
      ['ls', 'list'],
      ['delete', 'destroy'],
    ] as const) {
      const help = (word: string) => runCli(['credentials', word, '--help'])
      expect(await help(alias)).toEqual(await help(name))
    }
  })

  test('a mistake at the root says what to try', async () => {
    const wrong = await runCli(['credentails'])

    expect(wrong).toMatchObject({ status: 2, stdout: '' })
    expect(wrong.stderr).toMatch(
      /^error: unknown command 'credentails'\n\(Did you mean credentials\?\)\nTry: downscope --help\n$/,
    )
  })

  test('docs/cli.md has the tables of the code: npm run docs:cli', () => {
    const page = readFileSync(join(repository, 'docs/cli.md'), 'utf8')

    expect(replaceCliTables(page)).toBe(page)
  })

  test('show only command lines that can be given', () => {
    const faults = printed.flatMap(({ place, words }) => {
      const fault = faultOf(words)
      return fault === undefined ? [] : [`${place}: downscope ${words.join(' ')}: ${fault}`]
    })

    expect(faults).toEqual([])
    expect(printed.length).toBeGreaterThan(20)
  })

  test('one that cannot be given would be found', () => {
    expect(faultOf(['credentials', 'import'])).toContain("missing required argument 'FILE'")
    expect(faultOf(['policy', 'apply', 'x', '--fource'])).toContain('Did you mean --force?')
    expect(
      commandLines('A=b npx downscope token x --header | curl -H @- y && downscope doctor # downscope z'),
    ).toEqual([['token', 'x', '--header'], ['doctor']])
  })
})

/** Why commander does not take it; nothing is run. */
function faultOf(words: readonly string[]): string | undefined {
  let said = ''
  const output = new PassThrough()
  output.setEncoding('utf8').on('data', (text: string) => (said += text))
  const still = commands.map((command) => ({ ...command, run: () => Promise.resolve('done' as const) }))
  const program = createProgram({
    families,
    commands: still,
    terminal: {
      args: words,
      env: {},
      stdin: new PassThrough(),
      stdout: output,
      stderr: output,
      brokerModule: '',
    },
    onEnd: () => undefined,
  })
  try {
    program.parse([...words], { from: 'user' })
    return undefined
  } catch {
    return words.includes('--help') || words.includes('--version') ? undefined : said
  }
}
