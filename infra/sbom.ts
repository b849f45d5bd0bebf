import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

// Prints the bill of materials of the package, CycloneDX by npm: of all that the lockfile names, what is in the bundles.
// `npm run build` before it says which those are.

interface Component {
  readonly 'bom-ref': string
}
interface Bom {
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

const root = join(import.meta.dirname, '..')

/** The document as text. Throws where a bundled package is not in the lockfile. */
export function billOfMaterials(): string {
  const notices = readFileSync(join(root, 'dist/THIRD-PARTY-NOTICES.txt'), 'utf8')
  const npm = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']
  const { status, stdout, stderr } = spawnSync('npm', npm, { cwd: root, encoding: 'utf8', maxBuffer: 1e8 })
  if (status !== 0) throw new Error(stderr)
  const bom = JSON.parse(stdout) as Bom
  const bundled = new Set(
    [...notices.matchAll(/^(\S+) (\d\S*) \([^)]+\)$/gm)].map(([, name, version]) => `${name}@${version}`),
  )
  const kept = bom.components.filter((component) => bundled.has(component['bom-ref']))
  if (kept.length !== bundled.size)
    throw new Error(`${kept.length} of ${bundled.size} packages are in the lockfile`)
  const isKept = (ref: string) => bundled.has(ref) || ref === bom.metadata.component['bom-ref']
  const dependencies = bom.dependencies
    .filter(({ ref }) => isKept(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) }))
  return `${JSON.stringify({ ...bom, components: kept, dependencies }, null, 2)}\n`
}

if (import.meta.main) process.stdout.write(billOfMaterials())
