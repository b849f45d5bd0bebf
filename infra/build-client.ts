import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

// Builds what services import from the package: `client.js` (downscope/client) and `google-auth.js`
// (downscope/google-auth), with types. jose and google-auth-library stay imports. Runs on Node 20 and on Workers.

const root = join(import.meta.dirname, '..')
const entries = { client: 'client/token-source', 'google-auth': 'client/google-auth' }

/** Writes into `dist`. Throws if another package would be needed, or if the types do not compile. */
export async function buildClient(dist: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    outdir: dist,
    entryPoints: Object.entries(entries).map(([out, name]) => ({ in: `src/${name}.ts`, out })),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    packages: 'external',
    chunkNames: 'chunks/client-[hash]',
    metafile: true,
    logLevel: 'warning',
  })
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.flatMap(({ path, external }) => (external === true ? [path] : [])),
  )
  const stray = imported.find((path) => path !== 'jose' && path !== 'google-auth-library')
  if (stray !== undefined) throw new Error(`the client would need ${stray}`)
  writeTypes(dist, entries)
}

/**
 * Writes `NAME.d.ts` for each entry, `{ NAME: source below src without its ending }`, which leads to the declarations of
 * the sources in `types/`; of those only what an entry leads to stays. Throws with what does not compile.
 */
export function writeTypes(dist: string, sources: Readonly<Record<string, string>>): void {
  const project = join(root, `tsconfig.types-${process.pid}.json`)
  const types = join(dist, 'types')
  writeFileSync(
    project,
    JSON.stringify({
      extends: './tsconfig.json',
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        rootDir: 'src',
        outDir: types,
      },
      files: Object.values(sources).map((name) => `src/${name}.ts`),
      include: [],
      exclude: [],
    }),
  )
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the types do not compile: ${stdout}`)
  } finally {
    rmSync(project)
  }
  for (const [out, name] of Object.entries(sources))
    writeFileSync(
      join(dist, `${out}.d.ts`),
      `export * from './types/${name}.js'
`,
    )
  removeUnreached(dist)
}

function removeUnreached(dist: string): void {
  const files = (folder: string) =>
    readdirSync(folder, { encoding: 'utf8' }).filter((name) => name.endsWith('.d.ts'))
  const reached = new Set(files(dist).map((name) => join(dist, name)))
  for (const file of reached) {
    // An import for its effect alone has no types, and what it names is not there.
    const text = readFileSync(file, 'utf8').replaceAll(/^import '[^']+';\n/gm, '')
    writeFileSync(file, text)
    for (const [, path = ''] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g))
      reached.add(join(dirname(file), path.replace(/\.[jt]s$/, '.d.ts')))
  }
  const types = join(dist, 'types')
  for (const name of readdirSync(types, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.d.ts') && !reached.has(join(types, name))) rmSync(join(types, name))
}
