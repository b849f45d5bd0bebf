import type { Call } from './command.ts'
import { createFault } from './fault.ts'

/** The number that an option gives, within its bounds; `undefined` without the option. */
export function wholeNumber(
  call: Call,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = call.text(name)
  if (text === undefined) return undefined
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (value >= min && value <= max) return value
  throw createFault('usage', `${name} is a whole number from ${min} to ${max}`)
}
