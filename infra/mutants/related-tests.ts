import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'oxc-parser'

/** Which tests see a file, the nearest first. Those that start whole programs take seconds each. */
export interface RelatedTests {
  readonly own: readonly string[]
  /** Start a program that has the file in it, those of the file's own folder first. */
  readonly processes: readonly string[]
}

/** What starts a program for a test, and which program that is. */
const starters: readonly (readonly [helper: RegExp, program: string])[] = [
  [/\/spawn-broker\.ts$/, 'src/cloud-run.ts'],
  [/\/(?:run-cli|run-in-terminal|agent-process)\.ts$/, 'src/cli.ts'],
  [/\/worker-sandbox\.ts$/, 'src/workers.ts'],
]

/** Finds the tests of a file by what they import, directly or not. */
export function createFindTests(root: string): (file: string) => RelatedTests {
  const files = globSync('{src,test,infra}/**/*.ts', { cwd: root })
  const imports = new Map(files.map((file) => [file, importsOf(root, file)]))
  const importers = new Map<string, string[]>()
  for (const [file, targets] of imports)
    for (const target of targets) importers.set(target, [...(importers.get(target) ?? []), file])

  const distances = (from: string): ReadonlyMap<string, number> => {
    const seen = new Map([[from, 0]])
    for (const [file, distance] of seen)
      for (const importer of importers.get(file) ?? [])
        if (!seen.has(importer)) seen.set(importer, distance + 1)
    return seen
  }

  const started = starters.map(([helper, program]) => {
    const helpers = files.filter((name) => helper.test(name))
    return { program, tests: helpers.flatMap((name) => [...distances(name).keys()]).filter(isTest) }
  })
  const startsProcess = new Set(started.flatMap(({ tests }) => tests))

  return (file) => {
    const reached = distances(file)
    const folders = file.split('/').slice(0, -1)
    /** `test/console` is near `src/http/console`, and `test/http` less so. */
    const kinship = (test: string): number => folders.lastIndexOf(test.split('/').at(-2) ?? '')
    const own = [...reached]
      .filter(([name]) => isTest(name) && !startsProcess.has(name))
      .toSorted(([one, near], [other, far]) => near - 3 * kinship(one) - far + 3 * kinship(other))
    const processes = new Set(
      started.flatMap(({ program, tests }) => (reached.has(program) ? tests : [])).toSorted(),
    )
    return {
      own: own.map(([name]) => name),
      processes: [...processes].toSorted((one, other) => kinship(other) - kinship(one)),
    }
  }
}

function isTest(name: string): boolean {
  return name.endsWith('.test.ts') && !name.endsWith('.workerd.test.ts')
}

function importsOf(root: string, file: string): readonly string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const { module } = parseSync(file, text)
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) =>
    text.slice(start, end).replace(/^['"]|['"]$/g, ''),
  )
  return [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries: exported }) =>
      exported.flatMap(({ moduleRequest }) => (moduleRequest === null ? [] : [moduleRequest.value])),
    ),
    ...dynamic,
  ]
    .filter((target) => target.startsWith('.'))
    .map((target) => join(dirname(file), target))
}
