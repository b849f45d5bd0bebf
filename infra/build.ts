import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { doorSource } from './built-door.ts'
import { warmCompileCache } from './warm-compile-cache.ts'

// Bundles the Node door to dist/ for Node 24; `node dist/cloud-run.js` runs it. The Firestore SDK is a file of its own,
// read only when a store wants it: cold starts with another store do not pay for it. What V8 compiled lies beside it, so
// that no start compiles again. The command line lies there too: `node dist/cli.js`.

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
// One script and no modules: of a script V8 gives away all that it compiled.
const { metafile } = await build({
  ...common,
  format: 'cjs',
  entryPoints: [{ in: 'src/cloud-run.ts', out: 'broker' }],
  outExtension: { '.js': '.cjs' },
  // A script's own import() is experimental in Node; require() of a module is not.
  supported: { 'dynamic-import': false },
  plugins: [elsewhere(sdk, './firestore.js')],
})
await build({
  ...inModules,
  stdin: { contents: sdkSource, resolveDir: root },
  entryNames: 'firestore',
  chunkNames: 'chunks/[name]-[hash]',
})
// By itself: chunks that both had would be read one by one when the broker starts.
await build({
  ...inModules,
  entryPoints: ['src/cli.ts', 'src/cli/dev/end-with-parent.ts'],
  outbase: 'src',
  chunkNames: 'cli/[name]-[hash]',
})

const { status, stderr } = spawnSync(process.execPath, [join(dist, 'cli.js'), '--help'], { encoding: 'utf8' })
if (status !== 0) throw new Error(`dist/cli.js does not run: ${stderr}`)

const heavy = Object.keys(metafile.inputs).filter((input) => input.includes(`node_modules/${sdk}/`))
if (heavy.length > 0) throw new Error(`${sdk} must be imported lazily, but is read at start: ${heavy[0]}`)
const cached = await warmCompileCache(dist)
writeFileSync(join(dist, 'cloud-run.js'), doorSource({ keepsCode: false }))
const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => /\.c?js$/.test(name))
const bytes = files.reduce((sum, name) => sum + statSync(join(dist, name)).size, 0)
process.stdout.write(
  `dist/cloud-run.js: ${files.length} files, ${kib(bytes)} KiB; ${kib(cached)} KiB compiled\n`,
)

function kib(bytes: number): number {
  return Math.round(bytes / 1024)
}

/** Leaves what imports `name` lazily to import another file beside it. */
function elsewhere(name: string, file: string): Plugin {
  return {
    name: 'elsewhere',
    setup(bundler) {
      bundler.onResolve({ filter: new RegExp(`^${name}$`) }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: file, external: true } : undefined,
      )
    },
  }
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
