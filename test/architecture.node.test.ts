import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkArchitecture } from './support/architecture.ts'

const root = join(import.meta.dirname, '..')

describe('src holds its import table', () => {
  const sources = readSources()
  const findings = checkArchitecture(sources)

  test(`in ${findings.filesSeen} files with ${findings.importsSeen} imports`, () => {
    const lines = findings.faults.map(({ file, line, rule, detail }) => `${file}:${line} [${rule}] ${detail}`)
    expect(lines).toEqual([])
  })

  test('and every file was seen, with its imports', () => {
    const onDisk = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    const writtenImports = [...sources.values()].flatMap(
      (text) => text.match(/^(?:import|export) .*? from '/gm) ?? [],
    )

    expect(findings.filesSeen).toBe(onDisk.filter((name) => name.endsWith('.ts')).length)
    expect(findings.filesSeen).toBeGreaterThan(10)
    expect(findings.importsSeen).toBeGreaterThanOrEqual(writtenImports.length)
    expect(writtenImports.length).toBeGreaterThan(10)
  })
})

describe('a seeded fault is found', () => {
  test.each([
    ['layers', 'src/minting/a.ts', "import { x } from '../token-cache/x.ts'"],
    ['layers', 'src/minting/a.ts', "import type { x } from '../token-cache/x.ts'"],
    ['layers', 'src/minting/a.ts', "import { type x } from '../http/x.ts'"],
    ['layers', 'src/minting/a.ts', "export { x } from '../adapters/x.ts'"],
    ['layers', 'src/minting/a.ts', "export * from '../adapters/x.ts'\nexport const y = 1"],
    ['layers', 'src/minting/a.ts', "export const load = () => import('../adapters/x.ts')"],
    ['layers', 'src/minting/a.ts', "export type X = import('../adapters/x.ts').X"],
    ['layers', 'src/records/a.ts', "import { x } from '../minting/x.ts'"],
    ['layers', 'src/adapters/a.ts', "import { x } from '../records/x.ts'"],
    ['layers', 'src/domain/a.ts', "import type { x } from '../ports/x.ts'"],
    ['layers', 'src/ports/a.ts', "import { x } from '../domain/x.ts'"],
    ['layers', 'src/http/a.ts', "import { x } from '../minting/x.ts'"],
    ['layers', 'src/http/a.ts', "import { x } from '../adapters/x.ts'"],
    ['layers', 'src/exchange.ts', "import type { x } from './minting/x.ts'"],
    ['layers', 'src/cloud-run.ts', "import { x } from './adapters/x.ts'"],
    ['layers', 'src/stray.ts', 'export const x = 1'],
    ['imports', 'src/minting/a.ts', "import { x } from '../domain/missing.ts'"],
    ['imports', 'src/adapters/a.ts', 'export const load = (name: string) => import(name)'],
    ['packages', 'src/domain/a.ts', "import { z } from 'zod'"],
    ['packages', 'src/minting/a.ts', "import { hash } from 'node:crypto'"],
    ['packages', 'src/minting/a.ts', "import { Hono } from 'hono'"],
    ['packages', 'src/minting/a.ts', "import { x } from 'jose-look-alike'"],
    ['packages', 'src/records/a.ts', "import type { Firestore } from '@google-cloud/firestore'"],
    ['packages', 'src/http/a.ts', "import { readFile } from 'node:fs'"],
    ['packages', 'src/config.ts', "import { Hono } from 'hono'"],
    ['packages', 'src/adapters/a.ts', "import { Hono } from 'hono'"],
    ['packages', 'src/policy/a.ts', "import { parseDocument } from 'yaml'"],
    ['packages', 'src/compose/a.ts', "import { parseDocument } from 'yaml'"],
    ['default exports', 'src/domain/a.ts', 'export default 1'],
    ['default exports', 'src/domain/a.ts', 'const a = 1\nexport { a as default }'],
    ['classes', 'src/domain/a.ts', 'export class Manager {}'],
    ['classes', 'src/domain/a.ts', 'export const make = () => class {}'],
    ['classes', 'src/minting/a.ts', 'export class DocumentsObject {}'],
    ['layers', 'src/workers.ts', "export { x } from './adapters/x.ts'"],
    [
      'layers',
      'src/cloud-run.ts',
      "export { DocumentsObject } from './adapters/durable-object/documents-object.ts'",
    ],
    ['names', 'src/domain/utils.ts', 'export const x = 1'],
    ['names', 'src/minting/token-manager.ts', 'export const x = 1'],
    ['names', 'src/records/helpers/x.ts', 'export const x = 1'],
    ['module state', 'src/domain/a.ts', 'export let count = 0'],
    [
      'module state',
      'src/domain/a.ts',
      'const pending = new Map<string, string>()\nexport const f = () => pending',
    ],
    ['module state', 'src/domain/a.ts', 'export const pending: Map<string, string> = new Map()'],
    ['module state', 'src/domain/a.ts', 'export const seen: Readonly<WeakSet<object>> = new WeakSet()'],
    ['module state', 'src/domain/a.ts', "export const names = ['a']"],
    ['module state', 'src/domain/a.ts', "export const names: string[] = ['a']"],
    ['ports', 'src/ports/a.ts', 'export const x = 1'],
    ['barrels', 'src/domain/a.ts', "export { x } from './x.ts'"],
    ['syntax', 'src/domain/a.ts', 'export const = 1'],
  ])('%s: %s %s', (rule, file, text) => {
    expect(rulesBroken(file, text)).toContain(rule)
  })
})

describe('what is allowed passes', () => {
  test.each([
    [
      'src/minting/a.ts',
      "import { x } from '../domain/x.ts'\nimport { y } from './x.ts'\nimport { SignJWT } from 'jose'",
    ],
    ['src/minting/a.ts', "import { x } from '../records/x.ts'\nimport type { y } from '../ports/x.ts'"],
    ['src/http/a.ts', "import type { x } from '../minting/x.ts'\nimport { Hono } from 'hono'"],
    ['src/http/a.ts', "import { type x, type y } from '../minting/x.ts'"],
    ['src/ports/a.ts', "import type { x } from '../domain/x.ts'\nexport interface Port { x(): x }"],
    [
      'src/adapters/a.ts',
      "import { hash } from 'node:crypto'\nexport const l = () => import('@google-cloud/firestore')",
    ],
    ['src/compose.ts', "import { x } from './adapters/x.ts'\nimport { y } from './minting/x.ts'"],
    ['src/cloud-run.ts', "import { x } from './compose.ts'\nimport { serve } from '@hono/node-server'"],
    ['src/workers.ts', "import { x } from './compose.ts'\nexport default { fetch: x }"],
    [
      'src/workers.ts',
      "export { DocumentsObject } from './adapters/durable-object/documents-object.ts'\nexport default {}",
    ],
    ['src/domain/a.ts', 'export class BrokerError extends Error {}\nexport class Secret {}'],
    ['src/adapters/durable-object/documents-object.ts', 'export class DocumentsObject {}'],
    [
      'src/domain/a.ts',
      "export const names = ['a'] as const\nexport const set: ReadonlySet<string> = new Set(names)",
    ],
    ['src/domain/a.ts', "export const names: readonly string[] = ['a']\nexport const f = () => new Map()"],
  ])('%s %s', (file, text) => {
    expect(rulesBroken(file, text)).toEqual([])
  })
})

function rulesBroken(file: string, text: string): readonly string[] {
  const surroundings = ['domain', 'ports', 'records', 'minting', 'token-cache', 'http', 'adapters'].map(
    (folder) => [`src/${folder}/x.ts`, ''] as const,
  )
  const object = 'src/adapters/durable-object/documents-object.ts'
  const sources = new Map([...surroundings, ['src/compose.ts', ''], [object, ''], [file, text]])
  return checkArchitecture(sources).faults.map(({ rule }) => rule)
}

function readSources(): ReadonlyMap<string, string> {
  const folder = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  const files = folder.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [path.slice(root.length + 1).replaceAll('\\', '/'), readFileSync(path, 'utf8')]
    }),
  )
}
