import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildOpenApi } from './openapi/build-openapi.ts'

// Writes src/http/openapi.json, which the broker serves, from the table of routes. `--check` writes nothing and fails
// when the document there is not the one that the code makes.

const path = fileURLToPath(new URL('../../src/http/openapi.json', import.meta.url))
const document = buildOpenApi()
const text = `${JSON.stringify(document, null, 2)}\n`
if (!process.argv.includes('--check')) {
  writeFileSync(path, text)
  process.stdout.write(`wrote ${text.length} characters into src/http/openapi.json\n`)
} else if (readFileSync(path, 'utf8') !== text) {
  process.stderr.write('src/http/openapi.json is stale: npm run docs:openapi\n')
  process.exitCode = 1
}
