import { readFile } from 'node:fs/promises'
import { isMembers, type Members } from '../domain/json.ts'
import { createFault } from './fault.ts'
import type { Terminal } from './terminal.ts'
import { existsSync, rmSync, writeFileSync } from 'node:fs'

/** The text of a file, or of standard input for `-`. A fault names the file and nothing of what is in it. */
export async function readInput(path: string, { stdin, stderr }: Terminal): Promise<string> {
  if (path !== '-') return readTextFile(path)
  // Nobody should wonder what it waits for.
  if (stdin.isTTY === true) stderr.write('Reading standard input; end it with Ctrl-D.\n')
  stdin.setEncoding('utf8')
  let text = ''
  for await (const chunk of stdin) text += String(chunk)
  return text
}

export async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw createFault('usage', `${path} cannot be read: ${causeOf(error)}`)
  }
}

/** The members of the JSON object in it. */
export async function readJsonInput(path: string, terminal: Terminal): Promise<Members> {
  const text = await readInput(path, terminal)
  const place = path === '-' ? 'standard input' : path
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, which may be a secret.
    throw createFault('usage', `${place} is not JSON${text.trim() === '' ? ': it is empty' : ''}`, {
      hints: ['If it was downloaded or copied, it may be cut off: fetch it again.'],
    })
  }
  if (!isMembers(value)) throw createFault('usage', `${place} is JSON, but not an object`)
  return value
}

/** Why a file cannot be read or written, in a few words. */
export function causeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
    case 'EPERM':
      return 'no permission'
    case 'EROFS':
      return 'the file system is read-only'
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return 'no space is left'
    case 'ENOTDIR':
      return 'a part of the path is no folder'
    case 'EISDIR':
      return 'it is a folder'
    case 'EEXIST':
      return 'it exists already'
    default:
      return typeof code === 'string' ? code : 'it failed'
  }
}

/** For what would be written, and is not: as `writeNewFile` refuses it. */
export function refuseExisting(file: string): void {
  if (existsSync(file)) throw createFault('usage', `${file} cannot be written: it exists already`)
}

/** Never over another file, and for its owner alone unless `mode` says otherwise. */
export function writeNewFile(
  file: string,
  text: string,
  { mode = 0o600, hint = 'A key is never written over another file.' } = {},
): void {
  try {
    writeFileSync(file, text, { mode, flag: 'wx' })
  } catch (error) {
    const isOthers = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    // Half of a file, where the disk is full: the next start would take it for a whole one.
    if (!isOthers) rmSync(file, { force: true })
    throw createFault('usage', `${file} cannot be written: ${causeOf(error)}`, { hints: [hint] })
  }
}
