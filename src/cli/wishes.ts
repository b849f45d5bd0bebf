import type { Members } from '../domain/json-object.ts'
import type { Call, OptionSpec } from './command.ts'
import { readJsonInput } from './read-input.ts'
import { scopeOption, scopesGiven } from './scopes-given.ts'
import { wholeNumber } from './whole-number.ts'

/** What a caller asks for beside the credential, as far as it does. */
export interface Wishes {
  readonly scopes: readonly string[] | undefined
  readonly lifetimeSeconds: number | undefined
  readonly actFor: string | undefined
  readonly boundary: Members | undefined
  readonly resource: string | undefined
}

export const wishOptions: readonly OptionSpec[] = [
  scopeOption('a scope that is wanted; may be repeated; by default all that policy allows'),
  { name: '--lifetime', value: 'SECONDS', summary: 'how long it shall live at most' },
  { name: '--act-for', value: 'USER', summary: 'the user to act for, by domain-wide delegation' },
  {
    name: '--boundary',
    value: 'FILE',
    summary: "a Credential Access Boundary to narrow it by, in Google's JSON",
    offer: 'file',
  },
  { name: '--resource', value: 'URI', summary: 'whom the ID token is for' },
]

// What the broker reads, whatever an upstream can keep.
const lifetimeBounds = { min: 1, max: 999_999_999 }

export async function readWishes(call: Call): Promise<Wishes> {
  const boundary = call.text('--boundary')
  return {
    scopes: scopesGiven(call),
    lifetimeSeconds: wholeNumber(call, '--lifetime', lifetimeBounds),
    actFor: call.text('--act-for'),
    boundary: boundary === undefined ? undefined : await readJsonInput(boundary, call.terminal),
    resource: call.text('--resource'),
  }
}
