import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { scopeCatalogue } from '../../src/policy/scope-catalogue.ts'
import { judgeCatalogue, methodsByScope } from './scopes/judge-catalogue.ts'

// Holds the scope catalogue against Google's discovery documents: `npm run docs:scopes -- FOLDER`, a folder of them, as in
// google-api-python-client under googleapiclient/discovery_cache/documents.

const folder = process.argv[2]
if (folder === undefined) {
  process.stderr.write('which folder of discovery documents? npm run docs:scopes -- FOLDER\n')
  process.exit(2)
}
const names = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'index.json')
const documents = names.map((name): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')))
const methods = methodsByScope(documents)
const faults = judgeCatalogue(scopeCatalogue, methods)
for (const fault of faults) process.stderr.write(`${fault}\n`)
const edges = scopeCatalogue.reduce((count, { implies }) => count + Object.keys(implies).length, 0)
process.stdout.write(
  `${edges} edges held against ${documents.length} documents with ${methods.size} scopes: ${faults.length} contradicted\n`,
)
// Without any document nothing is contradicted, and nothing is shown.
process.exitCode = faults.length > 0 || methods.size === 0 ? 1 : 0
