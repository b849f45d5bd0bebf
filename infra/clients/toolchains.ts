import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** What can run one language's clients: a folder with what was installed or built, or why it cannot. */
export type Toolchain =
  | { readonly found: true; readonly folder: string }
  | { readonly found: false; readonly why: string }

export const languages = ['node', 'python', 'go', 'java', 'rust'] as const
export type Language = (typeof languages)[number]

export interface Recipe {
  readonly tools: readonly string[]
  /** What decides whether an earlier build still serves. */
  readonly sources: readonly string[]
  readonly commands: (folder: string) => readonly (readonly [program: string, ...args: string[]])[]
}

/** Rust builds for minutes, and for many on a busy machine. */
const toolTimeoutMs = 1_800_000
const programs = join(import.meta.dirname, 'programs')

const recipes: Readonly<Record<Language, Recipe>> = {
  node: {
    tools: ['npm'],
    sources: ['package.json', 'client.mjs'],
    commands: () => [['npm', 'install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts']],
  },
  python: {
    tools: ['python3'],
    sources: ['requirements.txt'],
    commands: () => [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
    ],
  },
  go: {
    tools: ['go'],
    sources: ['go/go.mod', 'go/go.sum', 'go/main.go'],
    commands: () => [['go', 'build', '-C', 'go', '-o', '../client', '.']],
  },
  java: {
    tools: ['java', 'javac', 'mvn', 'keytool'],
    sources: ['java/pom.xml', 'java/Client.java'],
    commands: (folder) => [
      [
        'mvn',
        '-q',
        '-B',
        '-f',
        'java/pom.xml',
        'dependency:copy-dependencies',
        `-DoutputDirectory=${join(folder, 'lib')}`,
      ],
      ['javac', '-cp', 'lib/*', '-d', 'classes', 'java/Client.java'],
    ],
  },
  rust: {
    tools: ['cargo'],
    sources: ['rust/Cargo.toml', 'rust/src/main.rs'],
    commands: () => [['cargo', 'build', '--quiet', '--release', '--manifest-path', 'rust/Cargo.toml']],
  },
}

const userCache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
/** Where downloads stay between runs: outside the repository, and never cleaned with it. */
export const downloadsFolder = join(userCache, 'downscope-ci')
const cache = join(userCache, 'downscope', 'clients')

/** Installs or builds what one language's clients need, by its ordinary package client. */
export function prepareToolchain(language: Language): Promise<Toolchain> {
  return prepareProgram(language, programs, recipes[language])
}

/**
 * Builds what a recipe says from the sources in a folder, inside the user's cache folder. What was built from the same
 * sources before is used again.
 */
export async function prepareProgram(
  name: string,
  from: string,
  { tools, sources, commands }: Recipe,
): Promise<Toolchain> {
  const missing = tools.filter((tool) => !isOnPath(tool))
  if (missing.length > 0) return { found: false, why: `${missing.join(' and ')} not installed` }
  const texts = sources.map((source) => readFileSync(join(from, source), 'utf8'))
  const digest = createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 12)
  const folder = join(cache, `${name}-${digest}`)
  const finished = join(folder, '.finished')
  if (existsSync(finished)) return { found: true, folder }
  removeOlder(name, folder)
  mkdirSync(folder, { recursive: true })
  for (const source of sources) cpSync(join(from, source), join(folder, source))
  for (const [program, ...args] of commands(folder)) {
    const fault = await runTool(program, args, folder)
    if (fault !== undefined) return { found: false, why: `${program}: ${fault}` }
  }
  writeFileSync(finished, '')
  return { found: true, folder }
}

/** With the user's environment, where registries and proxies are configured. The last line of what it said if it fails. */
function runTool(program: string, args: readonly string[], cwd: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { cwd, timeout: toolTimeoutMs, maxBuffer: 64 * 1024 * 1024 }
    execFile(join(program.includes('/') ? cwd : '', program), args, options, (error, stdout, stderr) => {
      if (error === null) resolve(undefined)
      else resolve((stderr || stdout || error.message).trim().split('\n').at(-1) ?? 'it failed')
    })
  })
}

export function isOnPath(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, tool)))
}

/** One build of a program is kept; what was interrupted goes on where it was. */
function removeOlder(program: string, kept: string): void {
  if (!existsSync(cache)) return
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name)
    if (name.startsWith(`${program}-`) && folder !== kept) rmSync(folder, { recursive: true, force: true })
  }
}
