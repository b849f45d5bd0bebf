import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { CallFrame } from './function-times.ts'

/** Names functions of a profile by what they are called and where they are in the source, by the bundle's source map. */
export function createLocate(root: string): (frame: CallFrame) => string {
  const maps = new Map<string, SourceMap | undefined>()

  const placeOf = ({ url, lineNumber, columnNumber }: CallFrame): string => {
    if (!url.startsWith('file:')) return url === '' ? '' : `${url}:${lineNumber + 1}`
    const file = fileURLToPath(url)
    if (!maps.has(file)) maps.set(file, readMap(file))
    const entry = maps.get(file)?.findEntry(lineNumber, columnNumber)
    if (entry === undefined || !('originalSource' in entry))
      return `${relative(root, file)}:${lineNumber + 1}`
    return `${relative(root, resolve(dirname(file), entry.originalSource))}:${entry.originalLine + 1}`
  }
  return (frame) => `${frame.functionName || '(anonymous)'} ${placeOf(frame)}`.trim()
}

/** The part of the program that a name of `createLocate` belongs to: a package, a folder of `src`, Node, or V8. */
export function partOf(name: string): string {
  const place = name.slice(name.lastIndexOf(' ') + 1)
  if (place.includes('node_modules/')) {
    const [scope = '', rest = ''] = place.slice(place.lastIndexOf('node_modules/') + 13).split('/')
    return scope.startsWith('@') ? `${scope}/${rest}` : scope
  }
  if (place.startsWith('node:'))
    return place.startsWith('node:internal/crypto') ? 'node: crypto' : 'node: other'
  if (place.startsWith('src/')) return place.split('/').slice(0, 2).join('/').replace(/:\d+$/, '')
  return /^\((?:idle|program|garbage collector)\)$/.test(name) ? name : 'native and other'
}

const mapSchema = z.object({
  version: z.number(),
  sources: z.array(z.string()),
  names: z.array(z.string()),
  mappings: z.string(),
})

function readMap(file: string): SourceMap | undefined {
  try {
    const map = mapSchema.parse(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
    return new SourceMap({ ...map, file, sourcesContent: [], sourceRoot: '' })
  } catch {
    return undefined
  }
}
