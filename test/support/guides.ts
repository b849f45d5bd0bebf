import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeBlocksOf } from './markdown-blocks.ts'
import { repository } from './run-node.ts'

/** Guides are held to the code: examples parse, names exist, tables are complete. */
const guides = [
  'README.md',
  'src/README.md',
  'infra/terraform/README.md',
  ...readdirSync(join(repository, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** Every guide, by its path in the repository. */
export const pages = guides.map((path) => ({ path, text: readPage(path) }))

/** The code blocks of all of them. */
export const blocks = pages.flatMap(({ path, text }) => codeBlocksOf(text).map((block) => ({ path, block })))

/** The broker that guides speak of. */
export const brokerIssuer = 'https://tokens.acme.example'

export function readPage(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}

/** A file or a folder of the repository. */
export function exists(path: string): boolean {
  try {
    readdirSync(join(repository, path))
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
  }
}
