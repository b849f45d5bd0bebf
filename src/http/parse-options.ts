import * as z from 'zod'

import type { AccessBoundary } from '../domain/access-boundary.ts'
import { requestMalformed } from '../domain/broker-error.ts'

/**
 * The boundary in Google's `options` parameter, or nothing where it has none; whatever else stands there is refused,
 * because a wish that is skipped over gives a wider token than was asked for. Throws `request_malformed`.
 */
export function parseOptions(text: string | undefined): AccessBoundary | undefined {
  if (text === undefined) return undefined
  const parsed = optionsDocument.safeParse(parseJson(text))
  if (parsed.success) return parsed.data.accessBoundary?.accessBoundaryRules
  const [issue] = parsed.error.issues
  const place = issue?.path.join('.') ?? ''
  const fault =
    issue?.code === 'unrecognized_keys' ? 'has an unknown member' : 'is missing or of a wrong form'
  throw requestMalformed(`options${place === '' ? '' : `.${place}`} ${fault}`)
}

const boundaryCharactersMax = 2_048

// Limits as in Google's documentation of Credential Access Boundaries: ten rules, conditions of 2,048 characters.
const optionsDocument = z.strictObject({
  // Google's clients send it for workforce pools; it says who is billed and nothing about the token.
  userProject: z.string().optional(),
  accessBoundary: z
    .strictObject({
      // None at all would allow nothing, or, misread, everything.
      accessBoundaryRules: z
        .array(
          z.strictObject({
            availableResource: z.string().min(1).max(boundaryCharactersMax),
            availablePermissions: z
              .array(
                z
                  .string()
                  .regex(/^inRole:\S+$/)
                  .max(200),
              )
              .min(1)
              .max(100),
            availabilityCondition: z
              .strictObject({
                expression: z.string().min(1).max(boundaryCharactersMax),
                title: z.string().max(200).exactOptional(),
                description: z.string().max(boundaryCharactersMax).exactOptional(),
              })
              .exactOptional(),
          }),
        )
        .min(1)
        .max(10),
    })
    .optional(),
})

/** Python's client percent-encodes the JSON once more before the form encoding does. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    try {
      return JSON.parse(decodeURIComponent(text))
    } catch {
      throw requestMalformed('options is not JSON')
    }
  }
}
