import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { formatCondition } from '../../src/domain/boundary-condition.ts'
import { importNodeAesGcmKey } from '../../src/adapters/system/node-crypto.ts'
import { encodeBoundary, sealText, readSessionKey } from '../../src/boundaries/seal-boundary.ts'
import { admin, bucket, condition, creator, user, viewer } from '../support/boundaries.ts'
import { createSessionKey, openSuffix, sessionKeyKinds } from '../support/google/boundary-tokens.ts'
import { holds } from '../support/google/cloud-storage.ts'

// Opened by Google's Tink, read by Buf's protobuf and CEL, evaluated by a third implementation.

const names = ['a', 'a/b', "o'neil", '😀']
const requests = names.flatMap((object) => [
  { bucket: 'reports', object },
  { bucket: 'reports', prefix: object },
])
const rule = fc.record(
  {
    availableResource: fc.constantFrom(bucket('reports'), bucket('other')),
    availablePermissions: fc.subarray([viewer, creator, user, admin], { minLength: 1 }),
    availabilityCondition: condition.map((tree) => ({ expression: formatCondition(tree) })),
  },
  { requiredKeys: ['availableResource', 'availablePermissions'] },
)

async function seals(kind: (typeof sessionKeyKinds)[number]) {
  const theirs = await createSessionKey(kind)
  const read = readSessionKey(Buffer.from(theirs.octets).toString('base64'))
  if (!read.ok) throw new Error(read.fault)
  const { prefix, key } = read.value
  const encrypt = importNodeAesGcmKey(key)
  const seal = (plaintext: Uint8Array<ArrayBuffer>) =>
    sealText(plaintext, { prefix, encrypt, nonce: crypto.getRandomValues(new Uint8Array(12)) })
  return { theirs, seal }
}

test('P30: 10,000 random boundaries are opened by other implementations to exactly what was meant', async () => {
  const keys = await Promise.all(
    sessionKeyKinds.filter((kind) => kind !== 'AES_CTR_HMAC').map((kind) => seals(kind)),
  )
  let conditions = 0
  let held = 0
  await fc.assert(
    fc.asyncProperty(fc.array(rule, { minLength: 1, maxLength: 3 }), fc.nat(3), async (boundary, at) => {
      const { theirs, seal } = keys[at] ?? (await seals('AES256_TINK'))
      const plaintext = encodeBoundary(boundary)
      if (plaintext === undefined) throw new Error('the condition is not in the grammar')
      const opened = (await openSuffix(await seal(plaintext), theirs)).accessBoundaryRules

      const reachOf = (rules: AccessBoundary) =>
        rules.map(({ availableResource, availablePermissions }) => [availableResource, availablePermissions])
      expect(reachOf(opened)).toEqual(reachOf(boundary))
      for (const [index, { availabilityCondition: meant }] of boundary.entries()) {
        const read = opened[index]?.availabilityCondition
        expect(read === undefined).toBe(meant === undefined)
        if (read === undefined || meant === undefined) continue
        conditions += 1
        for (const request of requests) {
          const isHeld = holds(meant.expression, request)
          if (isHeld) held += 1
          expect(holds(read.expression, request)).toBe(isHeld)
        }
      }
    }),
    { numRuns: 10_000 },
  )
  expect(conditions).toBeGreaterThan(5_000)
  expect(held).toBeGreaterThan(5_000)
}, 240_000)

test('what is altered does not open', async () => {
  const { theirs, seal } = await seals('AES128_TINK')
  const sealed = await seal(
    encodeBoundary([{ availableResource: bucket('a'), availablePermissions: [viewer] }]) ?? new Uint8Array(),
  )
  const octets = Buffer.from(sealed, 'base64url')
  octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1

  expect((await openSuffix(sealed, theirs)).accessBoundaryRules).toHaveLength(1)
  await expect(openSuffix(octets.toString('base64url'), theirs)).rejects.toThrow()
})

test('a keyset without AES-GCM is refused', async () => {
  const { octets } = await createSessionKey('AES_CTR_HMAC')

  expect(readSessionKey(Buffer.from(octets).toString('base64'))).toEqual({
    ok: false,
    fault: 'it holds a key of another type than AES-GCM',
  })
})
