import { join } from 'node:path'
import { build } from 'esbuild'

// Bundles the GitHub Action: `infra/action/main.js` and `post.js` are committed, because a runner takes the repository
// as it is. A test holds them to their sources: npm run build:action.

const action = join(import.meta.dirname, 'action')

/** The text of each bundle, by its name. Writes nothing. */
export async function bundleAction(): Promise<ReadonlyMap<string, string>> {
  const { outputFiles } = await build({
    absWorkingDir: join(import.meta.dirname, '..'),
    entryPoints: [join(action, 'main.ts'), join(action, 'post.ts')],
    outdir: action,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'warning',
  })
  return new Map(outputFiles.map(({ path, text }) => [path, text]))
}

if (import.meta.main) {
  const { writeFileSync } = await import('node:fs')
  for (const [path, text] of await bundleAction()) writeFileSync(path, text)
}
