import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

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
  'pid',
  'store.db',
  'store.db-wal',
  'store.db-shm',
  'broker.log',
  'policy.yaml',
  'env',
  'workload.jwt',
  'admin.jwt',
  'billing.jwk.json',
  'invoices-key.json',
  'external-account.json',
] as const
export type PlaceFile = (typeof files)[number]

/** Takes the folder and empties it of an earlier run's files, of these only. Throws while another run has it. */
export function takePlace(folder: string): Place {
  const absolute = resolve(folder)
  const path = (name: PlaceFile | '') => (name === '' ? absolute : join(absolute, name))
  mkdirSync(absolute, { recursive: true, mode: 0o700 })
  refuseWhileTaken(path('pid'), absolute)
  for (const name of files) rmSync(path(name), { force: true })
  const write = (name: PlaceFile, text: string) => writeFileSync(path(name), text, { mode: 0o600 })
  write('pid', String(process.pid))
  return {
    path,
    shown: (name) => {
      const short = relative(process.cwd(), path(name))
      return short.startsWith('..') || short === '' ? path(name) : short
    },
    write,
    leave: () => rmSync(path('pid'), { force: true }),
  }
}

function refuseWhileTaken(pidFile: string, folder: string): void {
  const pid = readPid(pidFile)
  if (pid === undefined || pid === process.pid || !isAlive(pid)) return
  throw new Error(
    `another quickstart (process ${pid}) is using ${folder}. End it with Ctrl-C, or give this one a folder of its ` +
      'own: npm run quickstart -- --folder .downscope/second',
  )
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process: that number was given anew.
    return error instanceof Error && 'code' in error && error.code !== 'ESRCH' && error.code !== 'EPERM'
  }
}
