import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      optionalDependencies: z.record(z.string(), z.string()).optional(),
      hasInstallScript: z.boolean().optional(),
      integrity: z.string().optional(),
    }),
  ),
})
const manifest = z.object({ allowScripts: z.record(z.string(), z.boolean()) })

const { packages } = lockfile.parse(readJson('package-lock.json'))
const paths = Object.keys(packages)

// `npm ci` refuses a lockfile that lacks one, on every machine; npm writes such a lockfile where a registry mirror
// does not carry the other platforms.
test('the lockfile names the binaries of every platform', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !paths.includes(`node_modules/${name}`) && !paths.includes(`${path}/node_modules/${name}`),
    ),
  )

  expect(paths.length).toBeGreaterThan(100)
  expect(missing).toEqual([])
})

// npm leaves it out for what the machine that wrote the lockfile did not install, and then installs whatever it is given.
test('every package of the lockfile is pinned by the digest of its contents', () => {
  const unpinned = paths.filter(
    (path) => path !== '' && !/^sha512-[\w+/]{86}==$/.test(packages[path]?.integrity ?? ''),
  )

  expect(unpinned).toEqual([])
})

test('every install script is approved by name', () => {
  const { allowScripts } = manifest.parse(readJson('package.json'))
  const withScripts = paths.filter((path) => packages[path]?.hasInstallScript)
  const unapproved = withScripts
    .map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    .filter((name) => allowScripts[name] !== true)

  expect(withScripts).toContain('node_modules/node')
  expect(unapproved).toEqual([])
})

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', name), 'utf8'))
}
