import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { downloadsFolder } from '../clients/toolchains.ts'

/** Another version finds other things: a new one is chosen, and not met. */
const version = '4.32.5'
const run = promisify(execFile)

/** Schemathesis in a virtual environment of its own, from PyPI; gives back its program. */
export async function installSchemathesis(): Promise<string> {
  const folder = join(downloadsFolder, `schemathesis-${version}`)
  const program = join(folder, 'bin', 'schemathesis')
  if (existsSync(program)) return program
  await mkdir(downloadsFolder, { recursive: true })
  await run('python3', ['-m', 'venv', folder])
  await run(join(folder, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${version}`])
  return program
}

export interface Contract {
  readonly url: string
  /** Of an administrator. */
  readonly jwt: string
  readonly seconds: number
  readonly config: string
  /** Where it leaves its files. */
  readonly folder: string
}

/** All checks, with data as the document describes it and otherwise; whether it found nothing. */
export async function holdsContract(
  program: string,
  { url, jwt, seconds, config, folder }: Contract,
): Promise<boolean> {
  const child = spawn(
    program,
    [
      `--config-file=${config}`,
      'run',
      `${url}/openapi.json`,
      `--header=Authorization: Bearer ${jwt}`,
      `--max-time=${seconds}`,
      '--workers=1',
      // The same cases in each run: what it finds can be found again.
      '--seed=1',
      '--mode=all',
      '--continue-on-failure',
      '--no-color',
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return code === 0
}
