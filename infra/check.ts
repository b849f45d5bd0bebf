import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

// Every gate, one after the other: stops at the first that fails and says which. A gate that reports how much it
// saw must have seen every file: a gate that looks at nothing passes.

type Command = readonly [program: string, ...args: string[]]

interface Gate {
  readonly name: string
  readonly commands: readonly [Command, ...Command[]]
  /** How many files the gate says it saw, from the output of all its commands. */
  readonly countSeen?: (output: string) => number
}

const root = join(import.meta.dirname, '..')
const staticOnly = process.argv.includes('--static')

const gates: readonly Gate[] = [
  {
    name: 'types',
    // The types of Node and of Workers contradict each other.
    commands: [
      ['tsc', '-p', 'tsconfig.json', '--listFiles'],
      ['tsc', '-p', 'tsconfig.workers.json', '--listFiles'],
    ],
    countSeen: countListed,
  },
  {
    name: 'lint',
    commands: [['npm', 'run', '--silent', 'lint']],
    countSeen: (output) => numberIn(output, /on (\d+) files/),
  },
  {
    name: 'format',
    commands: [['npm', 'run', '--silent', 'format:check']],
    countSeen: (output) => numberIn(output, /on (\d+) files/),
  },
  { name: 'dead code', commands: [['npm', 'run', '--silent', 'dead-code']] },
  {
    name: 'files and calls that one request crosses',
    commands: [['node', 'infra/crossings.ts', '--max', '45', '75']],
  },
  { name: 'size and start-up of the Worker', commands: [['npm', 'run', '--silent', 'build:worker']] },
  ...(staticOnly
    ? [{ name: 'architecture', commands: [['npm', 'run', '--silent', 'architecture']] } as const]
    : [{ name: 'tests (architecture among them)', commands: [['npm', 'run', '--silent', 'test']] } as const]),
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
function runGate({ name, commands, countSeen }: Gate): string | undefined {
  process.stdout.write(`\ncheck: ${name}\n`)
  let output = ''
  for (const command of commands) {
    const { fault, said } = runCommand(command, countSeen !== undefined)
    if (fault !== undefined) return fault
    output += said
  }
  if (countSeen === undefined) return undefined
  const seen = countSeen(output)
  process.stdout.write(`  saw ${seen} files; src, test and infra hold ${filesOnDisk}\n`)
  return seen < filesOnDisk ? `it saw ${seen} files of ${filesOnDisk}` : undefined
}

/** `isHeld`: its output is kept back and shown only when it fails. */
function runCommand([program, ...args]: Command, isHeld: boolean): { fault?: string; said: string } {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: isHeld ? ['ignore', 'pipe', 'pipe'] : 'inherit',
  })
  if (error !== undefined) return { fault: error.message, said: '' }
  const said = isHeld ? `${stdout}${stderr}` : ''
  if (status === 0) return { said }
  process.stdout.write(said.replaceAll(/^\/.*\n/gm, ''))
  return { fault: `exit ${String(status)}`, said }
}

function countListed(output: string): number {
  const own = output.split('\n').filter((line) => line.startsWith(root) && !line.includes('/node_modules/'))
  return new Set(own).size
}

function numberIn(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0)
}
