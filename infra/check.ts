// Every gate, one after the other: stops at the first that fails and says which. A gate that reports how much it
// saw must have seen every file: a gate that looks at nothing passes (STYLE rule 28).
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

interface Gate {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  /** How many files the gate says it saw. */
  readonly countSeen?: (output: string) => number
}

const root = join(import.meta.dirname, '..')
const staticOnly = process.argv.includes('--static')

const gates: readonly Gate[] = [
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json', '--listFiles'], countSeen: countListed },
  {
    name: 'lint',
    command: ['npm', 'run', '--silent', 'lint'],
    countSeen: (output) => numberIn(output, /on (\d+) files/),
  },
  {
    name: 'format',
    command: ['npm', 'run', '--silent', 'format:check'],
    countSeen: (output) => numberIn(output, /on (\d+) files/),
  },
  { name: 'dead code', command: ['npm', 'run', '--silent', 'dead-code'] },
  ...(staticOnly
    ? [{ name: 'architecture', command: ['npm', 'run', '--silent', 'architecture'] } as const]
    : [{ name: 'tests (architecture among them)', command: ['npm', 'run', '--silent', 'test'] } as const]),
]

const filesOnDisk = ['src', 'test', 'infra'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  ),
).length

for (const gate of gates) {
  const fault = runGate(gate)
  if (fault === undefined) continue
  process.stderr.write(`\ncheck: stopped at the gate "${gate.name}": ${fault}\n`)
  process.exit(1)
}
process.stdout.write(`\ncheck: all ${gates.length} gates passed\n`)

/** The reason a gate did not pass; undefined when it did. */
function runGate({ name, command: [program, ...args], countSeen }: Gate): string | undefined {
  process.stdout.write(`\ncheck: ${name}\n`)
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: countSeen === undefined ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  })
  if (error !== undefined) return error.message
  if (countSeen === undefined) return status === 0 ? undefined : `exit ${String(status)}`
  const output = `${stdout}${stderr}`
  if (status !== 0) {
    process.stdout.write(output.replaceAll(/^\/.*\n/gm, ''))
    return `exit ${String(status)}`
  }
  const seen = countSeen(output)
  process.stdout.write(`  saw ${seen} files; src, test and infra hold ${filesOnDisk}\n`)
  return seen < filesOnDisk ? `it saw ${seen} files of ${filesOnDisk}` : undefined
}

function countListed(output: string): number {
  const own = output.split('\n').filter((line) => line.startsWith(root) && !line.includes('/node_modules/'))
  return own.length
}

function numberIn(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0)
}
