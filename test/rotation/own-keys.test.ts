import { describe, expect, it } from 'vitest'
import { epochSeconds } from '../../src/domain/time.ts'
import { findCreated } from '../../src/rotation/own-keys.ts'
import type { ClaimedStep } from '../../src/records/rotations.ts'

const begunAt = epochSeconds(1_800_000_000)

/** What of a key of that age and kind is taken for ours. */
function found(after: number, { isUploaded = false, id = 'theirs' } = {}): readonly string[] {
  const claimed = {
    rotation: { begunAt, knownKeys: ['known'] },
    credential: { versions: [{ keyId: 'held' }] },
  } as unknown as ClaimedStep
  const validAfter = epochSeconds(begunAt + after)
  return findCreated([{ id, isUploaded, isDisabled: false, validAfter }], claimed)
}

describe('a key that Google may have made for us', () => {
  it.each([-60, -1, 0, 60])('was made %i s after the request began', (after) => {
    expect(found(after)).toEqual(['theirs'])
  })

  it.each([-86_400, -61, 61, 86_400])('was not made %i s after the request began', (after) => {
    expect(found(after)).toEqual([])
  })

  it('was not uploaded, not known before, and is none of the versions here', () => {
    expect(found(0, { isUploaded: true })).toEqual([])
    expect(found(0, { id: 'known' })).toEqual([])
    expect(found(0, { id: 'held' })).toEqual([])
  })
})
