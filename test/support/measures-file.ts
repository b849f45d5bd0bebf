import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measuresVariable } from './measures.ts'

/** Gives a test run the file in which its workers leave what they measured. */
export default function provideMeasuresFile(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-measures-'))
  process.env[measuresVariable] = join(folder, 'measures.jsonl')
  return () => rmSync(folder, { recursive: true, force: true })
}
