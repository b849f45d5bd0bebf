import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod/mini'
import { downloadsFolder } from '../clients/toolchains.ts'
import { judgeModule, parseModule, readModuleFiles, renderTables } from './judge-module.ts'
import { extractSchema } from './provider-schema.ts'

// Checks the module as far as that goes without a cloud: against the provider's schema, by checkov, by the formatter
// where Terraform or OpenTofu is at hand; and that each of these fails on a seeded fault. `--write` writes the schema and
// the README's tables instead. Installs into the user's cache folder, by npm and pip, what it needs.

const run = promisify(execFile)
/** Its version 16.12.1 was generated from the provider's 6.50.0. */
const providerTypes = '@cdktf/provider-google@16.12.1'
const checkov = 'checkov==3.3.30'
const folder = import.meta.dirname
const schemaFile = join(folder, 'provider-schema.json')
const begin = '<!-- BEGIN_TF_DOCS -->'
const end = '<!-- END_TF_DOCS -->'

const finding = z.object({ check_id: z.string(), resource: z.string(), file_path: z.string() })
const report = z.object({ results: z.object({ failed_checks: z.array(finding) }) })

const publicBucket = `
resource "google_storage_bucket" "exports" {
  name     = "exports"
  location = "EU"
}

resource "google_storage_bucket_iam_member" "exports" {
  bucket = google_storage_bucket.exports.name
  role   = "roles/storage.objectViewer"
  member = "allUsers"
}
`

const files = readModuleFiles(folder)
const document = await parseModule(files)
const schema = extractSchema(
  await installProviderTypes(),
  new Set(document.resources.map(({ type }) => type)),
)

if (process.argv.includes('--write')) {
  writeFileSync(schemaFile, renderSchema())
  writeFileSync(join(folder, 'README.md'), withTables())
} else {
  const faults = [
    ...judgeModule(document, schema),
    ...(readFileSync(schemaFile, 'utf8') === renderSchema()
      ? []
      : ['provider-schema.json is not the provider’s']),
    ...(readFileSync(join(folder, 'README.md'), 'utf8') === withTables()
      ? []
      : ['README.md has other tables']),
    ...(await checkovFaults()),
    ...(await formatFaults()),
  ]
  for (const fault of faults) process.stderr.write(`terraform: ${fault}\n`)
  process.stdout.write(
    `terraform: ${files.size} files, ${document.resources.length} resources against hashicorp/google ${schema.version}, ${faults.length} faults\n`,
  )
  process.exitCode = faults.length === 0 ? 0 : 1
}

/** A line for each type, so that a change of the provider can be read. */
function renderSchema(): string {
  const lines = Object.entries(schema.resources).map(
    ([type, one]) => `${JSON.stringify(type)}: ${JSON.stringify(one)}`,
  )
  return `{ "version": ${JSON.stringify(schema.version)}, "resources": {\n${lines.join(',\n')}\n} }\n`
}

function withTables(): string {
  const text = readFileSync(join(folder, 'README.md'), 'utf8')
  const [before = '', rest = ''] = text.split(begin)
  return `${before}${begin}\n${renderTables(document, schema.version)}\n${end}${rest.split(end)[1] ?? ''}`
}

/** The description of all types of the package; it is 100 MB, so it is not among the project's dependencies. */
async function installProviderTypes(): Promise<string> {
  const place = join(downloadsFolder, providerTypes.replaceAll(/\W+/g, '-'))
  const file = join(place, 'node_modules/@cdktf/provider-google/.jsii')
  if (existsSync(file)) return file
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), '{"private":true}')
  await run(
    'npm',
    ['install', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund', providerTypes],
    { cwd: place },
  )
  return file
}

async function installCheckov(): Promise<string> {
  const place = join(downloadsFolder, checkov.replace('==', '-'))
  const program = join(place, 'bin', 'checkov')
  if (existsSync(program)) return program
  mkdirSync(downloadsFolder, { recursive: true })
  await run('python3', ['-m', 'venv', place])
  await run(join(place, 'bin', 'pip'), ['install', '--quiet', checkov])
  return program
}

/**
 * What checkov finds. A gate that finds nothing may look at nothing: beside the module it looks at a bucket that everybody
 * reads, and must find that.
 */
async function checkovFaults(): Promise<readonly string[]> {
  const program = await installCheckov()
  const place = mkdtempSync(join(tmpdir(), 'downscope-terraform-'))
  try {
    cpSync(folder, join(place, 'module'), { recursive: true })
    mkdirSync(join(place, 'seeded'))
    writeFileSync(join(place, 'seeded', 'main.tf'), publicBucket)
    const how = ['--framework', 'terraform', '--output', 'json', '--quiet', '--skip-download', '--soft-fail']
    const { stdout } = await run(program, ['--directory', place, ...how], { maxBuffer: 16_000_000 })
    const found = report.parse(JSON.parse(stdout)).results.failed_checks
    const isSeeded = (one: (typeof found)[number]) => one.file_path.startsWith('/seeded/')
    return [
      ...found.filter((one) => !isSeeded(one)).map((one) => `checkov: ${one.check_id} ${one.resource}`),
      ...(found.some((one) => isSeeded(one) && one.check_id === 'CKV_GCP_28')
        ? []
        : ['checkov does not find a public bucket']),
    ]
  } finally {
    rmSync(place, { recursive: true })
  }
}

/** `fmt` of Terraform or OpenTofu, whichever is installed; without either, what a test sees of the format. */
async function formatFaults(): Promise<readonly string[]> {
  for (const program of ['tofu', 'terraform']) {
    try {
      await run(program, ['fmt', '-check', '-recursive', folder])
      process.stdout.write(`terraform: formatted, says ${program}\n`)
      return []
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        return [`${program} fmt -recursive infra/terraform would change something`]
    }
  }
  process.stdout.write(
    'terraform: neither tofu nor terraform is installed: the format was not checked by them\n',
  )
  return []
}
