import type { Call, OptionSpec } from './command.ts'

/** `summary` says what the scopes are there for. */
export function scopeOption(summary: string): OptionSpec {
  return { name: '--scope', value: 'SCOPE', summary, isRepeatable: true }
}

/** Each `--scope`, which may hold several with spaces between; `undefined` when there is none. */
export function scopesGiven(call: Call): readonly string[] | undefined {
  const scopes = call.texts('--scope').flatMap((text) => text.split(' ').filter((scope) => scope !== ''))
  return scopes.length === 0 ? undefined : scopes
}
