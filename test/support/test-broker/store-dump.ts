import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from './json.ts'

/** Every byte of the SQLite store in that folder: the database, its log and its index. */
export function dumpFolder(folder: string): string {
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  return Buffer.concat(files).toString('latin1')
}

/** Every document of a project in the emulator, as JSON. */
export async function dumpEmulator(host: string, project: string): Promise<string> {
  const documents = `http://${host}/v1/projects/${project}/databases/(default)/documents`
  const headers = { authorization: 'Bearer owner' }
  const listing = await fetch(`${documents}:listCollectionIds`, { method: 'POST', headers, body: '{}' })
  const ids = memberList(await listing.json(), 'collectionIds').map(String)
  const pages = ids.map(async (id) => {
    const page = await fetch(`${documents}/${id}?pageSize=1000`, { headers })
    return page.text()
  })
  return (await Promise.all(pages)).join('\n')
}

function memberList(value: unknown, name: string): readonly unknown[] {
  const list = isObject(value) ? value[name] : undefined
  return Array.isArray(list) ? list : []
}
