import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { createFault } from './fault.ts'
import { causeOf } from './files.ts'
import type { Terminal } from './terminal.ts'

/** One broker, and who somebody is there. */
export type Context = z.output<typeof contextDocument>

export interface Contexts {
  /** The name of the one that is used where nothing else is said. */
  readonly current?: string | undefined
  readonly contexts: Readonly<Record<string, Context>>
}

const contextDocument = z.object({
  url: z.string(),
  issuer: z.string(),
  client_id: z.string(),
  client_secret: z.optional(z.string()),
  id_token: z.optional(z.string()),
  refresh_token: z.optional(z.string()),
})
const contextsDocument = z.object({
  schema: z.literal(1),
  current: z.optional(z.string()),
  contexts: z.record(z.string(), contextDocument),
})

type Env = Terminal['env']

/** The user's own, by the XDG base directory specification; for the user alone, since tokens are in it. */
function contextsFile(env: Env): string {
  const base = env['XDG_CONFIG_HOME'] ?? env['APPDATA'] ?? join(env['HOME'] ?? homedir(), '.config')
  return join(base, 'downscope', 'contexts.json')
}

export function readContexts(env: Env): Contexts {
  let text: string
  try {
    text = readFileSync(contextsFile(env), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { contexts: {} }
    throw createFault('usage', `${contextsFile(env)} cannot be read: ${causeOf(error)}`)
  }
  const parsed = contextsDocument.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw createFault('usage', `${contextsFile(env)} is damaged`, {
    hints: ['Delete it, and sign in again: downscope login'],
  })
}

/** Whole or not at all: another command may read it meanwhile. */
export function writeContexts(env: Env, { current, contexts }: Contexts): void {
  const file = contextsFile(env)
  const next = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(next, `${JSON.stringify({ schema: 1, current, contexts }, undefined, 2)}\n`, {
      mode: 0o600,
    })
    renameSync(next, file)
  } catch (error) {
    throw createFault('usage', `${file} cannot be written: ${causeOf(error)}`)
  }
}

export function currentContext(env: Env): Context | undefined {
  const { current, contexts } = readContexts(env)
  return current === undefined ? undefined : contexts[current]
}

/** The context of a broker: a token that was got for one broker is never shown to another. */
export function contextOf(env: Env, url: string): { name: string; context: Context } | undefined {
  const { current, contexts } = readContexts(env)
  const names = Object.keys(contexts).toSorted(
    (one, other) => Number(other === current) - Number(one === current),
  )
  for (const name of names) {
    const context = contexts[name]
    if (context?.url === url) return { name, context }
  }
  return undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
