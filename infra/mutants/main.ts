import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createRandom } from '../../test/support/random.ts'
import { mutantsOf, type Mutant } from './mutate.ts'
import { createFindTests } from './related-tests.ts'
import { createTestRunner, type TestRunner } from './test-runner.ts'
import { verdictOf } from './verdicts.ts'

// `npm run mutants -- --seed N --count 70`: plants small faults in src, one after the other, and says which of them the
// tests do not notice. `--only authentication/ --only src/cli.ts:20` takes those of some files or of one line,
// `--tests 30` tries the nearest test files alone, and `--no-processes` none that start a program: both make the result
// worse and never better.

const root = join(import.meta.dirname, '../..')
const killedMin = 0.95
/** A mutant that makes a test wait for ever is noticed too. */
const runMsMax = 600_000
/** The nearest tests find most of them: these are tried before others are even read. */
const groupEnds = [1, 6, 20]

process.exitCode = await main()

interface Outcome {
  readonly mutant: Mutant
  /** The first test file that failed. */
  readonly killedBy?: string
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '70' },
      only: { type: 'string', multiple: true, default: [''] },
      tests: { type: 'string', default: '1000' },
      'no-processes': { type: 'boolean', default: false },
    },
  })
  const mutants = sample(values.only, Number(values.seed), Number(values.count))
  const findTests = createFindTests(root)
  const yard = mkdtempSync(join(tmpdir(), 'downscope-mutants-'))
  const runner = createTestRunner(yard, runMsMax)
  try {
    copyProject(yard)
    const outcomes: Outcome[] = []
    for (const mutant of mutants) {
      const { own, processes } = findTests(mutant.file)
      const tests = [...own, ...(values['no-processes'] ? [] : processes)].slice(0, Number(values.tests))
      const killedBy = await tryMutant({ yard, mutant, tests, runner })
      print(
        `${killedBy === undefined ? 'SURVIVED' : 'killed'}  ${describe(mutant)}${killedBy === undefined ? '' : `  by ${killedBy}`}`,
      )
      outcomes.push({ mutant, ...(killedBy === undefined ? {} : { killedBy }) })
    }
    return report(outcomes)
  } finally {
    runner.stop()
    rmSync(yard, { recursive: true, force: true })
  }
}

/** The same seed gives the same mutants as long as the sources are the same. */
function sample(only: readonly string[], seed: number, count: number): readonly Mutant[] {
  const all = globSync('src/**/*.ts', { cwd: root })
    .toSorted()
    .flatMap((file) => mutantsOf(file, readFileSync(join(root, file), 'utf8')))
    .filter(({ file, line }) => only.some((place) => `${file}:${line}:`.includes(place)))
  const random = createRandom(seed)
  const drawn = new Map<Mutant, number>(all.map((mutant) => [mutant, random.fraction()]))
  print(`seed ${seed}: ${count} of ${all.length} mutants`)
  return [...drawn]
    .toSorted(([, one], [, other]) => one - other)
    .slice(0, count)
    .map(([mutant]) => mutant)
}

/** What tests read, by copies: a mutant never stands in the working tree. */
function copyProject(yard: string): void {
  for (const name of globSync('*', { cwd: root }).filter((one) => one !== 'node_modules' && one !== 'dist'))
    cpSync(join(root, name), join(yard, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(yard, 'node_modules'))
}

interface Trial {
  readonly yard: string
  readonly mutant: Mutant
  readonly tests: readonly string[]
  readonly runner: TestRunner
}

async function tryMutant({ yard, mutant, tests, runner }: Trial): Promise<string | undefined> {
  const path = join(yard, mutant.file)
  const text = readFileSync(path, 'utf8')
  const mutated = text.slice(0, mutant.start) + mutant.replacement + text.slice(mutant.end)
  const write = (content: string): void => {
    writeFileSync(path, content)
    runner.forget(path)
  }
  /** On a busy machine a test may fail by itself: it counts when it fails twice with the mutant, and not without. */
  const isNoticedBy = async (test: string): Promise<boolean> => {
    if ((await runner.firstFailure([test])) === undefined) return false
    write(text)
    const isSound = (await runner.firstFailure([test])) === undefined
    write(mutated)
    return isSound
  }
  write(mutated)
  try {
    for (const [index, end] of [...groupEnds, tests.length].entries()) {
      let group = tests.slice(groupEnds[index - 1] ?? 0, end)
      while (group.length > 0) {
        const failed = await runner.firstFailure(group)
        if (failed === undefined) break
        if (!group.includes(failed) || (await isNoticedBy(failed))) return failed
        group = group.filter((test) => test !== failed)
      }
    }
    return undefined
  } finally {
    write(text)
  }
}

function report(outcomes: readonly Outcome[]): number {
  const survivors = outcomes.filter(({ killedBy }) => killedBy === undefined)
  const judged = survivors.map(({ mutant }) => ({ mutant, verdict: verdictOf(mutant, lineOf(mutant)) }))
  for (const { mutant, verdict } of judged)
    print(
      `survivor  ${describe(mutant)}  ${verdict === undefined ? 'NOT JUDGED' : `${verdict.is}: ${verdict.because}`}`,
    )
  const counted = outcomes.length - judged.filter(({ verdict }) => verdict !== undefined).length
  const killed = outcomes.length - survivors.length
  const share = counted === 0 ? 0 : killed / counted
  print(
    `${outcomes.length} mutants tried, ${killed} killed, ${survivors.length} survived; of the ${counted} that matter ${(100 * share).toFixed(1)} % were killed`,
  )
  return share >= killedMin ? 0 : 1
}

function describe(mutant: Mutant): string {
  const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 70)
  return `${mutant.file}:${mutant.line}  ${short(mutant.original)}  →  ${short(mutant.replacement)}`
}

/** The line that a mutant begins in, as it is in the sources. */
function lineOf({ file, line }: Mutant): string {
  return readFileSync(join(root, file), 'utf8').split('\n')[line - 1]?.trim() ?? ''
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
