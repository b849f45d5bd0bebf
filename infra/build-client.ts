import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

// Builds what services import from the package: `client.js` (downscope/client) and `google-auth.js`
// (downscope/google-auth), with types. jose and google-auth-library stay imports. Runs on Node 20 and on Workers.

const root = join(import.meta.dirname, '..')
const entries = { client: 'token-source', 'google-auth': 'google-auth' } as const

/** Writes into `dist`. Throws if another package would be needed, or if the types do not compile. */
export async function buildClient(dist: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    outdir: dist,
    entryPoints: Object.entries(entries).map(([out, name]) => ({ in: `src/client/${name}.ts`, out })),
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
  writeTypes(dist)
}

/** `client.d.ts` and `google-auth.d.ts` lead to the declarations of the sources, which are in `types/`. */
function writeTypes(dist: string): void {
  const project = join(root, `tsconfig.client-${process.pid}.json`)
  writeFileSync(
    project,
    JSON.stringify({
      extends: './tsconfig.json',
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        rootDir: 'src',
        outDir: join(dist, 'types'),
      },
      include: Object.values(entries).map((name) => `src/client/${name}.ts`),
      exclude: [],
    }),
  )
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the client's types do not compile: ${stdout}`)
  } finally {
    rmSync(project)
  }
  for (const [out, name] of Object.entries(entries))
    writeFileSync(join(dist, `${out}.d.ts`), `export * from './types/client/${name}.js'\n`)
}
