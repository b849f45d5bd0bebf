import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { writeTypes } from './build-client.ts'
import { policyJsonSchema } from './docs/openapi/json-schema.ts'

// What the package holds beside the bundles for Node and the client: the Worker, types, schemas and notices.

const root = join(import.meta.dirname, '..')

/** Writes into `dist`; resolves with what the Worker was made of. Throws if a type does not compile. */
export async function buildPackageParts(dist: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/workers.ts'],
    outfile: join(dist, 'worker.js'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    // As wrangler bundles it.
    conditions: ['workerd', 'worker', 'browser'],
    target: 'es2024',
    external: ['cloudflare:*', 'node:async_hooks'],
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  writeTypes(dist, { index: 'broker' })
  writeFileSync(join(dist, 'worker.d.ts'), workerTypes)
  writeFileSync(join(dist, 'schema.json'), `${JSON.stringify(policyJsonSchema(), null, 2)}\n`)
  copyFileSync(join(root, 'src/http/openapi.json'), join(dist, 'openapi.json'))
  return metafile
}

/** By hand: those of the source would need Cloudflare's, and whoever deploys it calls none of this. */
const workerTypes = `/** For the \`main\` of a Worker: \`export { default, DocumentsObject } from 'downscope/worker'\`. */
declare const worker: {
  fetch(request: Request, bindings: Readonly<Record<string, unknown>>): Promise<Response>
  scheduled(event: unknown, bindings: Readonly<Record<string, unknown>>): Promise<void>
}
export default worker
/** The class of the binding \`DOCUMENTS\`. */
export declare class DocumentsObject {
  constructor(context: unknown, bindings: unknown)
}
`

/** A package whose code is in a bundle. */
export interface BundledPackage {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly folder: string
}

/** The packages that bundles were made of, by name. Throws where one says neither version nor licence. */
export function bundledPackages(metafiles: readonly Metafile[]): readonly BundledPackage[] {
  const folders = new Set(
    metafiles.flatMap(({ inputs }) =>
      Object.keys(inputs).flatMap(
        (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
      ),
    ),
  )
  return [...folders]
    .map((folder) => {
      const text = readFileSync(join(root, folder, 'package.json'), 'utf8')
      const { name, version, license } = JSON.parse(text) as Partial<BundledPackage>
      if (name === undefined || version === undefined || typeof license !== 'string')
        throw new Error(`${folder}/package.json says no name, version or licence`)
      return { name, version, license, folder }
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** Writes `THIRD-PARTY-NOTICES.txt`: the licence of each package in the bundles, each text once. */
export function writeNotices(dist: string, packages: readonly BundledPackage[]): void {
  const byText = Map.groupBy(packages, ({ folder }) => licenceText(join(root, folder)))
  const parts = [...byText].map(([text, covered]) => {
    const names = covered.map(({ name, version, license }) => `${name} ${version} (${license})`)
    return `${names.join('\n')}\n\n${text}\n`
  })
  writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), parts.join(`\n${'-'.repeat(80)}\n\n`))
}

function licenceText(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  return file !== undefined && existsSync(join(folder, file))
    ? readFileSync(join(folder, file), 'utf8').trim()
    : 'The package has no file with its licence.'
}
