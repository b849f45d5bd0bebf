import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'
import { buildClient } from './build-client.ts'
import { buildPackageParts, bundledPackages, writeNotices } from './build-package.ts'

// Bundles everything that the package and the image hold to dist/: the broker (`node dist/cloud-run.js`) and the command
// line (`node dist/cli.js`) for Node 22.15 and newer, the Worker, and what services import. The Firestore SDK is a file
// of its own, read only when a store wants it: cold starts with another store do not pay for it.

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
/** The image has no use for what services import. */
const isImage = process.argv.includes('--image')

rmSync(dist, { recursive: true, force: true })
const sdk = '@google-cloud/firestore'
const api = '@google-cloud/firestore-api'
const grpc = '@grpc/grpc-js'
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node22.15',
  format: 'esm',
  // Smaller is read sooner. Names stay, for stack traces, and lines stay short: Node prints the failing one of a crash.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  banner: {
    // What CommonJS packages inside an ES module still ask for.
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;",
  },
} as const satisfies BuildOptions
const inModules = {
  ...common,
  outdir: dist,
  splitting: true,
  plugins: [sdk, api, grpc].map((name) => beside(name, './firestore.js')),
} satisfies BuildOptions
const { metafile } = await build({
  ...inModules,
  entryPoints: { 'cloud-run': 'src/cloud-run.ts', index: 'src/broker.ts' },
  chunkNames: 'broker-[hash]',
})
// By itself: chunks that both had would be read one by one when the broker starts.
const cli = await build({ ...inModules, entryPoints: ['src/cli.ts'], chunkNames: 'cli-[hash]' })
const firestore = await build({
  ...common,
  stdin: {
    contents: `${namedExports(sdk, Object.keys(await import('@google-cloud/firestore')))}
export { FirestoreClient } from '${api}'
export { credentials } from '${grpc}'`,
    resolveDir: root,
    sourcefile: 'firestore.js',
  },
  outfile: join(dist, 'firestore.js'),
})
const bundles: Metafile[] = [metafile, cli.metafile, firestore.metafile]
if (!isImage) {
  await buildClient(dist)
  bundles.push(await buildPackageParts(dist))
}
writeNotices(dist, bundledPackages(bundles))

const { status, stderr } = spawnSync(process.execPath, [join(dist, 'cli.js'), '--help'], { encoding: 'utf8' })
if (status !== 0) throw new Error(`dist/cli.js does not run: ${stderr}`)

const atStart = filesReadAtStart('dist/cloud-run.js')
const lazy = [sdk, api, grpc, '@opentelemetry'].map((name) => `node_modules/${name}/`)
const heavy = atStart.find((input) => lazy.some((folder) => input.includes(folder)))
if (heavy !== undefined) throw new Error(`${heavy} must be imported lazily, but is read at start`)
const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
const bytes = files.reduce((sum, name) => sum + statSync(join(dist, name)).size, 0)
process.stdout.write(`dist/cloud-run.js: ${files.length} files, ${kib(bytes)} KiB\n`)

/** The sources in an output and in all that it imports statically. */
function filesReadAtStart(output: string, seen = new Set<string>()): readonly string[] {
  if (seen.has(output)) return []
  seen.add(output)
  const { inputs = {}, imports = [] } = metafile.outputs[output] ?? {}
  const next = imports.filter(({ kind, external }) => kind === 'import-statement' && external !== true)
  return [...Object.keys(inputs), ...next.flatMap(({ path }) => filesReadAtStart(path, seen))]
}

function kib(bytes: number): number {
  return Math.round(bytes / 1024)
}

/**
 * Gives a dynamically imported CommonJS package the names that Node gives it: esbuild's chunk has `default` alone, so
 * `const { Firestore } = await import(…)` would work from source and be undefined in the bundle.
 */
function namedExports(name: string, exported: readonly string[]): string {
  const names = exported.filter((one) => one !== 'default' && /^[A-Za-z_$][\w$]*$/.test(one))
  return `import all from '${name}'\nexport default all\nexport const { ${names.join(', ')} } = all`
}

/** Leaves a lazily imported package out of a bundle: it lies beside it. */
function beside(name: string, path: string): Plugin {
  return {
    name: 'beside',
    setup(bundler) {
      bundler.onResolve({ filter: new RegExp(`^${name}$`) }, ({ kind }) =>
        kind === 'dynamic-import' ? { path, external: true } : undefined,
      )
    },
  }
}
