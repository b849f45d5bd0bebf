import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'oxc-parser'

/** Which tests see a file, the nearest first; those that start whole programs last, for they take seconds each. */
export interface RelatedTests {
  readonly near: readonly string[]
  readonly far: readonly string[]
  /** Start processes of their own, whose entry points import the file. */
  readonly processes: readonly string[]
}

/** Imported by whoever starts the broker in a process of its own. */
const starters = /(?:spawn-broker|run-cli|run-node|run-in-terminal|worker-yard|cli-world)\.ts$/
const entries = ['src/cloud-run.ts', 'src/cli.ts', 'src/workers.ts']

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

  return (file) => {
    const reached = distances(file)
    const tests = [...reached]
      .filter(([name]) => name.endsWith('.test.ts') && !name.endsWith('.workerd.test.ts'))
      .toSorted(([, one], [, other]) => one - other)
    const isServed = entries.some((entry) => reached.has(entry))
    const starting = files
      .filter((name) => starters.test(name))
      .flatMap((name) => [...distances(name).keys()])
    const startsProcess = new Set(starting.filter((name) => name.endsWith('.test.ts')))
    const own = tests.map(([name]) => name).filter((name) => !startsProcess.has(name))
    const nearest = tests[0]?.[1] ?? 0
    const near = tests.filter(([name, distance]) => distance <= nearest + 1 && own.includes(name))
    return {
      near: near.map(([name]) => name).slice(0, 12),
      far: own.filter((name) => !near.slice(0, 12).some(([one]) => one === name)),
      processes: isServed ? [...startsProcess].toSorted() : [],
    }
  }
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
