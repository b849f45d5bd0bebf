import * as z from 'zod/mini'

import type { AccessBoundary } from '../domain/access-boundary.ts'
import { requestMalformed } from '../domain/broker-error.ts'
import { parseStrictJsonObject } from '../domain/strict-json.ts'

/**
 * The boundary in Google's `options` parameter, or nothing where it has none; whatever else stands there is refused,
 * because a wish that is skipped over gives a wider token than was asked for. Throws `request_malformed`.
 */
export function parseOptions(text: string | undefined): AccessBoundary | undefined {
  return text === undefined ? undefined : parseAccessBoundary(parseJson(text))
}

/** Likewise, of what the JSON means. */
export function parseAccessBoundary(options: unknown): AccessBoundary | undefined {
  const parsed = optionsDocument.safeParse(options)
  if (parsed.success) return parsed.data.accessBoundary?.accessBoundaryRules
  const [issue] = parsed.error.issues
  const place = issue?.path.join('.') ?? ''
  const fault =
    issue?.code === 'unrecognized_keys' ? 'has an unknown member' : 'is missing or of a wrong form'
  throw requestMalformed(`options${place === '' ? '' : `.${place}`} ${fault}`)
}

// Limits as in Google's documentation of Credential Access Boundaries: ten rules, conditions of 2,048 characters.
const boundaryCharactersMax = 2_048

const boundaryRule = z.strictObject({
  availableResource: textOf(1, boundaryCharactersMax),
  availablePermissions: z
    .array(z.string().check(z.regex(/^inRole:\S+$/), z.maxLength(200)))
    .check(z.minLength(1), z.maxLength(100)),
  availabilityCondition: z.exactOptional(
    z.strictObject({
      expression: textOf(1, boundaryCharactersMax),
      title: z.exactOptional(textOf(0, 200)),
      description: z.exactOptional(textOf(0, boundaryCharactersMax)),
    }),
  ),
})

const optionsDocument = z.strictObject({
  // Google's clients send it for workforce pools; it says who is billed and nothing about the token.
  userProject: z.optional(z.string()),
  accessBoundary: z.optional(
    // None at all would allow nothing, or, misread, everything.
    z.strictObject({ accessBoundaryRules: z.array(boundaryRule).check(z.minLength(1), z.maxLength(10)) }),
  ),
})

function textOf(charactersMin: number, charactersMax: number): z.ZodMiniString {
  return z.string().check(z.minLength(charactersMin), z.maxLength(charactersMax))
}

/** Python's client percent-encodes the JSON once more before the form encoding does. */
function parseJson(text: string): unknown {
  const judged = parseStrictJsonObject(text.startsWith('%') ? percentDecoded(text) : text)
  if (!judged.ok) throw requestMalformed(`options ${judged.fault}`)
  return judged.value
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
