import { describe, expect, test } from 'vitest'
import { base64Of } from '../../src/domain/pem.ts'
import { parseCondition } from '../../src/domain/boundary-condition.ts'
import { importWebAesGcmKey } from '../../src/adapters/system/clock-and-entropy.ts'
import { encodeCondition, sealText, readSessionKey } from '../../src/boundaries/seal-boundary.ts'
import expressions from '../support/cab/expressions.json' with { type: 'json' }
import conditions from '../support/cab/conditions.json' with { type: 'json' }

/** The public test key of Google's authentication library for Java. */
const publishedKey =
  'CPaEhYsKEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaIMx8syvGIGGu5yvrdq/I0Q9ZWIR1oqJXFnDFxHuwX4SEGAEQARj2hIWLCiAB'

function accepted(text: string) {
  const read = readSessionKey(text)
  if (!read.ok) throw new Error(read.fault)
  return read.value
}

test('the published vector is met byte by byte', async () => {
  const { prefix, key } = accepted(publishedKey)
  const encrypt = await importWebAesGcmKey(key)
  const nonce = Uint8Array.from({ length: 12 }, (_, index) => index)

  expect(await sealText(new TextEncoder().encode('restriction'), { prefix, encrypt, nonce })).toBe(
    'AaFhQnYAAQIDBAUGBwgJCgvIc9p0EXthr8WYQl6sKvdE-kCKA-SIx7I0T1E',
  )
})

describe('a condition is encoded as Google’s own library for Java encodes it', () => {
  const encoded = expressions.flatMap(({ expression, expr }) => {
    const parsed = parseCondition(expression)
    return parsed.ok ? [{ expression, expr, ours: base64Of(encodeCondition(parsed.condition)) }] : []
  })

  test.each(encoded)('$expression', ({ expr, ours }) => {
    expect(ours).toBe(expr)
  })

  test('in enough cases to say so', () => {
    expect(encoded.length).toBeGreaterThanOrEqual(17)
  })
})

test('no condition is taken that Google’s own parser refuses', () => {
  const taken = conditions.filter(({ expression }) => parseCondition(expression).ok)

  expect(taken.filter(({ accepted: isAccepted }) => !isAccepted)).toEqual([])
  expect(taken.length).toBeGreaterThan(12)
})
