import type { Json } from '../domain/caller.ts'
import { quote, closestMatch } from '../domain/text.ts'
import type { Upstream } from '../domain/upstream.ts'
import { upstreamPresets, type UpstreamPreset } from '../domain/upstream-presets.ts'
import { upstreamSchema } from './policy-schema.ts'
import { type EntryPlace, readUpstream } from './read-entries.ts'
import { isMembers } from '../domain/json.ts'

/** An upstream that is there without an entry in the policy: a preset that nothing needs to be said to. */
export function presetUpstream(name: string): Upstream | undefined {
  const preset = presetNamed(name)
  if (preset === undefined || preset.placeholders !== undefined) return undefined
  const parsed = upstreamSchema.parse({ name, ...preset.entry })
  return readUpstream(parsed, { path: [], report: () => undefined })
}

/**
 * An entry of `upstreams` with what its `preset` brings below what it says itself. Faults are reported, and then the
 * result must not be used.
 */
export function withPreset(entry: Json, { path, report }: EntryPlace): Json {
  if (!isMembers(entry) || entry['preset'] === undefined) return entry
  const { preset: name, with: values = {}, ...own } = entry
  const preset = typeof name === 'string' ? presetNamed(name) : undefined
  if (preset === undefined) {
    const known = Object.keys(upstreamPresets)
    const meant = typeof name === 'string' ? closestMatch(name, known) : undefined
    const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${quote(meant)}?`
    report([...path, 'preset'], `is no preset; ${hint}`)
    return own
  }
  const given = isMembers(values) ? values : {}
  const wanted = preset.placeholders ?? {}
  for (const key of Object.keys(given))
    if (!Object.hasOwn(wanted, key)) report([...path, 'with', key], 'is no placeholder of this preset')
  for (const [key, refused] of Object.entries(wanted)) {
    const fault = placeholderFault(given[key], refused)
    if (fault !== undefined) report([...path, 'with'], `${key} ${fault}`)
  }
  return { ...filled(preset, given), ...own }
}

function presetNamed(name: string): UpstreamPreset | undefined {
  return Object.hasOwn(upstreamPresets, name) ? upstreamPresets[name] : undefined
}

/** T20: a placeholder is one label of a host name whose end is fixed, or a tenant's id, and can leave neither. */
function placeholderFault(value: Json | undefined, refused: readonly string[]): string | undefined {
  if (value === undefined) return 'is missing'
  if (typeof value !== 'string' || !/^[a-z0-9-]{1,63}$/.test(value))
    return 'must be 1 to 63 of a-z, 0-9 and "-"'
  return refused.includes(value) ? `must not be ${quote(value)}: there anybody may sign in` : undefined
}

function filled(
  { entry }: UpstreamPreset,
  values: Readonly<Record<string, Json>>,
): Readonly<Record<string, Json>> {
  return Object.fromEntries(
    Object.entries(entry).map(([key, value]) => [
      key,
      typeof value === 'string'
        ? value.replaceAll(/\{(?<name>\w+)\}/g, (_, name: string) => {
            const given = values[name]
            return typeof given === 'string' ? given : 'x'
          })
        : value,
    ]),
  )
}
