import { METHOD_NAME_ALL, type Params, type Result, type Router } from 'hono/router'
import { TrieRouter } from 'hono/router/trie-router'

/**
 * Hono's router, with exact paths looked up before patterns are walked. Hono would walk its tree for every path: its
 * quicker table cannot hold two patterns for one segment, and the admin API has several (`NAME`, `NAME:disable`).
 */
export function createRouter<Handler>(): Router<Handler> {
  const exact = new Map<string, Map<string, [Handler, Params][]>>()
  const patterns = new TrieRouter<Handler>()

  const add = (method: string, path: string, handler: Handler): void => {
    // Middleware of many paths would be left out where the exact path is found first.
    if (method === METHOD_NAME_ALL || path.includes('*'))
      throw new TypeError(`a route for all of ${path} is not supported`)
    if (path.includes(':')) return patterns.add(method, path, handler)
    const paths = exact.get(method) ?? new Map<string, [Handler, Params][]>()
    exact.set(method, paths.set(path, [...(paths.get(path) ?? []), [handler, {}]]))
  }
  const match = (method: string, path: string): Result<Handler> => {
    const handlers = exact.get(method)?.get(path)
    return handlers === undefined ? patterns.match(method, path) : [handlers]
  }
  return { name: 'exact paths first', add, match }
}
