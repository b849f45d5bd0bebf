import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

const root = join(import.meta.dirname, '..')
const report = z.object({
  diagnostics: z.array(z.object({ code: z.string(), filename: z.string() })),
  number_of_files: z.number(),
})

/** Rule → the path it must fire at → a source with that fault and, as far as it goes, no other. */
const seeds: readonly (readonly [rule: string, file: string, source: string])[] = [
  ['no-floating-promises', 'src/http', 'export const f = (p: Promise<void>): void => {\n  p\n}'],
  ['no-misused-promises', 'src/http', 'export const f = (p: Promise<boolean>): number => (p ? 1 : 2)'],
  [
    'switch-exhaustiveness-check',
    'src/domain',
    "export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1\n  }\n  return 2\n}",
  ],
  ['no-restricted-imports', 'src/records', "import * as z from 'zod'\nexport const text = z.string()"],
  ['no-explicit-any', 'src/domain', 'export const f = (x: any): number => Number(x)'],
  [
    'no-unsafe-assignment',
    'src/domain',
    "export const f = (): void => {\n  const x = JSON.parse('1')\n  void x\n}",
  ],
  ['no-unsafe-member-access', 'src/domain', "export const f = (): string => String(JSON.parse('1').x)"],
  ['no-unsafe-return', 'src/domain', "export const f = (): string => JSON.parse('1')"],
  ['no-unsafe-argument', 'src/domain', "export const f = (): number => Number.parseInt(JSON.parse('1'), 10)"],
  ['no-unsafe-call', 'src/domain', "export const f = (): void => void JSON.parse('1')()"],
  ['no-non-null-assertion', 'src/domain', 'export const f = (x?: string): string => x!'],
  ['consistent-type-imports', 'src/domain', "import { Grant } from './types.ts'\nexport type G = Grant"],
  ['no-cycle', 'src/domain', "import { b } from './cycle.ts'\nexport const a = (): number => b()"],
  ['no-default-export', 'src/domain', 'export default 1'],
  ['no-nested-ternary', 'src/domain', 'export const f = (x: number): number => (x > 1 ? 1 : x > 0 ? 2 : 3)'],
  ['eqeqeq', 'src/domain', 'export const f = (x: unknown): boolean => x == 1'],
  ['no-array-sort', 'src/domain', 'export const f = (x: string[]): string[] => x.sort()'],
  ['parameter-properties', 'test', 'export class A {\n  constructor(readonly x: string) {}\n}'],
  ['no-console', 'src/http', "export const f = (): void => console.log('x')"],
  ['no-focused-tests', 'test', "import { test } from 'vitest'\ntest.only('x', () => {})"],
  ...[
    'authentication',
    'policy',
    'authorization',
    'token-cache',
    'minting',
    'enrolment',
    'rotation',
    'google',
    'oauth',
    'records',
    'domain',
  ].flatMap((folder) =>
    [
      'Date.now()',
      'new Date()',
      "fetch('https://a.example')",
      'process.pid',
      'setTimeout(() => {}, 1)',
      'globalThis.Date',
      'performance.now()',
    ].map((x) => ['no-restricted-globals', `src/${folder}`, `export const f = (): unknown => ${x}`] as const),
  ),
  ...[
    'Math.random()',
    'crypto.randomUUID()',
    'crypto.getRandomValues(new Uint8Array(1))',
    'AbortSignal.timeout(1)',
  ].map((x) => ['no-restricted-properties', 'src/minting', `export const f = (): unknown => ${x}`] as const),
]

const clean: readonly (readonly [file: string, source: string])[] = [
  ['src/workers.ts', 'export default { port: 1 }'],
  ['src/adapters/clock.ts', 'export const now = (): number => Date.now()'],
  ['src/domain/types.ts', 'export interface Grant {\n  readonly name: string\n}'],
  [
    'src/minting/hash.ts',
    "export const hash = (x: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> => crypto.subtle.digest('SHA-256', x)",
  ],
]

describe('the linter fires on seeded faults', () => {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-gates-'))
  let found: z.infer<typeof report>

  beforeAll(() => {
    for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
      cpSync(join(root, name), join(folder, name))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    seeds.forEach(([, place, source], index) => write(folder, `${place}/seed-${index}.ts`, source))
    for (const [file, source] of clean) write(folder, file, source)
    const cycle = seeds.findIndex(([rule]) => rule === 'no-cycle')
    write(
      folder,
      'src/domain/cycle.ts',
      `import { a } from './seed-${cycle}.ts'\nexport const b = (): number => a()`,
    )
    const lint = spawnSync(
      process.execPath,
      [join(root, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '-f', 'json'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    )
    found = report.parse(JSON.parse(lint.stdout))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(seeds.map(([rule, place, source], index) => ({ rule, place, source, index })))(
    '$rule in $place: $source',
    ({ rule, place, index }) => {
      expect(rulesAt(`${place}/seed-${index}.ts`)).toContainEqual(expect.stringContaining(`(${rule})`))
    },
  )

  test.each(clean)('and not on clean code: %s', (file) => {
    expect(rulesAt(file)).toEqual([])
  })

  test('having seen every file', () => {
    expect(found.number_of_files).toBe(seeds.length + clean.length + 1)
  })

  function rulesAt(file: string): readonly string[] {
    return found.diagnostics.filter(({ filename }) => filename === file).map(({ code }) => code)
  }
})

function write(folder: string, file: string, source: string): void {
  const path = join(folder, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${source}\n`)
}
