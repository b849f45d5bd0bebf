import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes a folder ours, for its owner alone, until the function it returns is called. Throws while another process that
 * lives has it; `elsewhere` is the command that takes another one.
 */
export function takeFolder(folder: string, elsewhere: string): () => void {
  const pidFile = join(folder, 'pid')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const pid = readPid(pidFile)
  if (pid !== undefined && pid !== process.pid && isAlive(pid))
    throw new Error(
      `another one (process ${pid}) is using ${folder}. End it with Ctrl-C, or use another folder: ${elsewhere}`,
    )
  writeFileSync(pidFile, String(process.pid), { mode: 0o600 })
  return () => rmSync(pidFile, { force: true })
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
