import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'

const root = join(import.meta.dirname, '../..')
const configuration = readFileSync(join(root, 'wrangler.toml'), 'utf8')
const lockfile = z
  .object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })
  .parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')))

test('the compatibility date is no newer than any workerd that is installed', () => {
  const date = /^compatibility_date = "(\d{4}-\d\d-\d\d)"$/m.exec(configuration)?.[1] ?? ''
  const workerds = versionsOf('workerd')

  expect(workerds).toHaveLength(1)
  // 1.20261102.1: the day is the minor version.
  for (const version of workerds)
    expect(Number(date.replaceAll('-', ''))).toBeLessThanOrEqual(Number(version.split('.')[1]))
})

test('Node is not imitated but for AsyncLocalStorage: what needs it must fail', () => {
  expect(configuration).toMatch(
    /^compatibility_flags = \["no_nodejs_compat", "no_nodejs_compat_v2", "nodejs_als"\]$/m,
  )
})

test('there is no second address of the Worker', () => {
  expect(configuration).toMatch(/^workers_dev = false$/m)
  expect(configuration).toMatch(/^preview_urls = false$/m)
})

test('one wrangler serves, builds and tests', () => {
  expect(versionsOf('wrangler')).toHaveLength(1)
})

function versionsOf(name: string): readonly string[] {
  return Object.entries(lockfile.packages)
    .filter(([path]) => path.endsWith(`node_modules/${name}`))
    .map(([, entry]) => String(entry.version))
}
