import { rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { takeFolder } from '../../src/cli/dev/first-files.ts'

/** The folder where one quickstart keeps its files; readable by their owner alone. */
export interface Place {
  readonly path: (name: PlaceFile | '') => string
  /** As short as it can be shown from where we are. */
  readonly shown: (name: PlaceFile | '') => string
  readonly write: (name: PlaceFile, text: string) => void
  /** Lets the next quickstart have the folder; the other files stay. */
  readonly leave: () => void
}

const files = [
  'store.db',
  'store.db-wal',
  'store.db-shm',
  'broker.log',
  'policy.yaml',
  'env',
  'workload.jwt',
  'admin.jwt',
  'admin.jwk.json',
  'billing.jwk.json',
  'invoices-key.json',
  'external-account.json',
] as const
export type PlaceFile = (typeof files)[number]

/** Takes the folder and empties it of an earlier run's files, of these only. Throws while another run has it. */
export function takePlace(folder: string): Place {
  const absolute = resolve(folder)
  const path = (name: PlaceFile | '') => (name === '' ? absolute : join(absolute, name))
  const leave = takeFolder(absolute, 'npm run quickstart -- --folder .downscope/second')
  for (const name of files) rmSync(path(name), { force: true })
  const write = (name: PlaceFile, text: string) => writeFileSync(path(name), text, { mode: 0o600 })
  return {
    path,
    shown: (name) => {
      const short = relative(process.cwd(), path(name))
      return short.startsWith('..') || short === '' ? path(name) : short
    },
    write,
    leave,
  }
}
