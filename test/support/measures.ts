import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { isObject, jsonObject } from './test-broker/json.ts'

/** Names the file in which the workers of a test run leave what they measured. */
export const measuresVariable = 'DOWNSCOPE_TEST_MEASURES'

/** Notes a figure for the end of the run, which shows the greatest of each name. */
export function noteMeasure(name: string, value: number, unit: string): void {
  const file = process.env[measuresVariable]
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ name, value, unit })}\n`)
}

/** A line for each name, with its greatest figure and how many there were. */
export function measureLines(file: string | undefined): readonly string[] {
  if (file === undefined || !existsSync(file)) return []
  const greatest = new Map<string, { value: number; unit: string; count: number }>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const said = jsonObject(line)
    if (!isObject(said)) continue
    const [name, value] = [String(said['name']), Number(said['value'])]
    const before = greatest.get(name)
    greatest.set(name, {
      value: Math.max(value, before?.value ?? -Infinity),
      unit: String(said['unit']),
      count: (before?.count ?? 0) + 1,
    })
  }
  return [...greatest].map(
    ([name, { value, unit, count }]) =>
      `${name}: ${Math.round(value * 10) / 10} ${unit} (of ${count} figures)`,
  )
}
