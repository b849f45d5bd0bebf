import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { buildClient } from './build-client.ts'

// Bundles the Node entry point and the command line to dist/ for Node 24: `node dist/cloud-run.js` and
// `node dist/cli.js` run them. The Firestore SDK is a chunk of its own, read only when a store wants it: cold starts with
// another store do not pay for it. What services import from the package lies beside them.

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const sdk = '@google-cloud/firestore'
const sdkSource = namedExports(sdk, Object.keys(await import('@google-cloud/firestore')))
const common = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  platform: 'node',
  target: 'node24',
  // Smaller is read sooner. Names stay, for stack traces, and lines stay short: Node prints the failing one of a crash.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'linked',
  metafile: true,
  logLevel: 'warning',
} satisfies BuildOptions
const inModules = {
  ...common,
  splitting: true,
  format: 'esm',
  plugins: [lazily(sdk, sdkSource)],
  banner: {
    // What CommonJS packages inside an ES module still ask for.
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;",
  },
} satisfies BuildOptions
const { metafile } = await build({
  ...inModules,
  entryPoints: ['src/cloud-run.ts'],
  chunkNames: 'broker/[name]-[hash]',
})
// By itself: chunks that both had would be read one by one when the broker starts.
await build({
  ...inModules,
  entryPoints: ['src/cli.ts', 'src/cli/dev/end-with-parent.ts'],
  outbase: 'src',
  chunkNames: 'cli/[name]-[hash]',
})
await buildClient(dist)

const { status, stderr } = spawnSync(process.execPath, [join(dist, 'cli.js'), '--help'], { encoding: 'utf8' })
if (status !== 0) throw new Error(`dist/cli.js does not run: ${stderr}`)

const atStart = filesReadAtStart('dist/cloud-run.js')
const lazy = [sdk, '@opentelemetry'].map((name) => `node_modules/${name}/`)
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

/** Gives whoever imports `name` lazily this module instead. */
function lazily(name: string, contents: string): Plugin {
  return {
    name: 'lazily',
    setup(bundler) {
      bundler.onResolve({ filter: new RegExp(`^${name}$`) }, ({ kind, resolveDir }) =>
        kind === 'dynamic-import' ? { path: name, namespace: 'lazily', pluginData: resolveDir } : undefined,
      )
      bundler.onLoad({ filter: /^/, namespace: 'lazily' }, ({ pluginData }) => ({
        contents,
        resolveDir: String(pluginData),
      }))
    },
  }
}
