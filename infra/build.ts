// Bundles the Node door to dist/ for Node 24; `node dist/cloud-run.js` runs it. Splitting keeps
// `await import('@google-cloud/firestore')` a file of its own, read only when a Firestore store is configured: cold
// starts with another store do not pay for it. What V8 compiled lies beside it, so that no start compiles again. The
// command line lies there too: `node dist/cli.js`.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { build, type BuildOptions, type Plugin } from 'esbuild'

import { warmCompileCache } from './warm-compile-cache.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const shared = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
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
  plugins: [namedExportsOf('@google-cloud/firestore', Object.keys(await import('@google-cloud/firestore')))],
  banner: {
    // What CommonJS packages inside an ES module still ask for.
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;",
  },
} satisfies BuildOptions
const { metafile } = await build({
  ...shared,
  entryPoints: [{ in: 'src/cloud-run.ts', out: 'broker' }],
  chunkNames: 'chunks/[name]-[hash]',
})
// By itself: chunks that both had would be read one by one when the broker starts.
await build({
  ...shared,
  entryPoints: ['src/cli.ts', 'src/cli/dev/end-with-parent.ts'],
  outbase: 'src',
  chunkNames: 'cli/[name]-[hash]',
})

const { status, stderr } = spawnSync(process.execPath, [join(dist, 'cli.js'), '--help'], { encoding: 'utf8' })
if (status !== 0) throw new Error(`dist/cli.js does not run: ${stderr}`)

// Must be read before what it makes faster. Portable: an image may have it at another path than the build.
writeFileSync(
  join(dist, 'cloud-run.js'),
  `import { enableCompileCache } from 'node:module'
enableCompileCache({ directory: import.meta.dirname + '/compile-cache', portable: true })
await import('./broker.js')
`,
)

const eager = eagerFiles(join('dist', 'broker.js'))
const heavy = [...eager].filter((file) => bundles(file, '@google-cloud/firestore'))
if (heavy.length > 0) {
  throw new Error(
    `@google-cloud/firestore must be imported lazily, but is read at start: ${heavy.join(', ')}`,
  )
}
const cached = await warmCompileCache(dist)
const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
const bytes = files.reduce((sum, name) => sum + statSync(join(dist, name)).size, 0)
process.stdout.write(
  `dist/cloud-run.js: ${eager.size + 1} file(s) read at start, ${files.length} in all, ${kib(bytes)} KiB; ` +
    `${kib(cached)} KiB compiled\n`,
)

function kib(bytes: number): number {
  return Math.round(bytes / 1024)
}

/** The output and everything it imports statically. */
function eagerFiles(entry: string): ReadonlySet<string> {
  const seen = new Set<string>()
  const queue = [entry]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const { path, kind, external } of metafile.outputs[file]?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) queue.push(path)
    }
  }
  return seen
}

function bundles(output: string, name: string): boolean {
  return Object.keys(metafile.outputs[output]?.inputs ?? {}).some((input) =>
    input.includes(`node_modules/${name}/`),
  )
}

/**
 * Gives a dynamically imported CommonJS package the names that Node gives it: esbuild's chunk has `default` alone, so
 * `const { Firestore } = await import(…)` would work from source and be undefined in the bundle.
 */
function namedExportsOf(name: string, exported: readonly string[]): Plugin {
  const names = exported.filter((one) => one !== 'default' && /^[A-Za-z_$][\w$]*$/.test(one))
  return {
    name: 'named-exports',
    setup(bundler) {
      bundler.onResolve({ filter: new RegExp(`^${name}$`) }, ({ kind, resolveDir }) =>
        kind === 'dynamic-import'
          ? { path: name, namespace: 'named-exports', pluginData: resolveDir }
          : undefined,
      )
      bundler.onLoad({ filter: /^/, namespace: 'named-exports' }, ({ pluginData }) => ({
        contents: `import all from '${name}'\nexport default all\nexport const { ${names.join(', ')} } = all`,
        resolveDir: String(pluginData),
      }))
    },
  }
}
