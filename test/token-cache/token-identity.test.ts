import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Grant } from '../../src/domain/grant.ts'
import { seconds } from '../../src/domain/time.ts'
import { tokenIdentity } from '../../src/token-cache/token-cache.ts'
import { createGrant } from '../support/resolve-world.ts'

const base = createGrant({ scopes: ['a', 'b'] })
const boundary = [{ availableResource: '//r', availablePermissions: ['inRole:roles/x'] }]

describe('token identity', () => {
  it('is the same for two callers and rules that are allowed the same', () => {
    const other = { ...base, rule: 'another', caller: { ...base.caller, subject: 'someone else' } }
    expect(tokenIdentity(other)).toBe(tokenIdentity(base))
  })

  it.each<[string, Partial<Grant>]>([
    ['credential', { credential: { ...base.credential, name: 'other' } }],
    ['credential version', { credential: { ...base.credential, version: 'v2' } }],
    ['source', { credential: { ...base.credential, source: base.credential } }],
    [
      'version of the source',
      { credential: { ...base.credential, source: { ...base.credential, version: 'v2' } } },
    ],
    ['upstream', { credential: { ...base.credential, upstream: 'other' } }],
    ['scopes', { scopes: ['a'] }],
    ['scopes joined into one', { scopes: ['a b'] }],
    ['token type', { tokenType: 'id_token' }],
    ['audience', { audience: 'https://x.example' }],
    ['subject', { subject: 'user@x.example' }],
    ['boundary', { boundary }],
    ['lifetime', { lifetime: seconds(900) }],
    ['way in which the upstream is asked', { upstreamTerms: '[{"from":"policy"},{"audience":"a"}]' }],
  ])('P14: differs when the %s differs', (_, change) => {
    expect(tokenIdentity({ ...base, ...change })).not.toBe(tokenIdentity(base))
  })

  it('P14: is injective over everything a token depends on, whatever characters the parts hold', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('', '|', ',', '"', '\\', 'null', '["a"]', 'a b', '\u0000'),
    )
    const parts = fc.record({
      name: part,
      version: part,
      scopes: fc.array(part, { maxLength: 3 }),
      audience: fc.option(part, { nil: undefined }),
      subject: fc.option(part, { nil: undefined }),
    })
    fc.assert(
      fc.property(parts, parts, (one, two) => {
        const equal = JSON.stringify(one) === JSON.stringify(two)
        expect(tokenIdentity(grantOf(one)) === tokenIdentity(grantOf(two))).toBe(equal)
      }),
      { numRuns: 2000 },
    )
  })
})

interface Parts {
  readonly name: string
  readonly version: string
  readonly scopes: readonly string[]
  readonly audience?: string | undefined
  readonly subject?: string | undefined
}

function grantOf({ name, version, scopes, audience, subject }: Parts): Grant {
  return createGrant({
    credential: { ...base.credential, name, version },
    scopes,
    ...(audience === undefined ? {} : { audience }),
    ...(subject === undefined ? {} : { subject }),
  })
}
