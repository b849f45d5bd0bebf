import { describe, expect, it } from 'vitest'
import { tokenForm } from '../support/http-layer.ts'
import { parseForm, refused } from '../support/token-request.ts'

describe('options', () => {
  const rule = {
    availableResource: '//storage.googleapis.com/projects/_/buckets/b',
    availablePermissions: ['inRole:roles/storage.objectViewer'],
  }
  const condition = { expression: "resource.name.startsWith('x')", title: 't', description: 'd' }
  const json = (rules: unknown): string => JSON.stringify({ accessBoundary: { accessBoundaryRules: rules } })
  const boundaryOf = (options: string) => parseForm(tokenForm({ options })).boundary

  it('Google’s boundary arrives as it was sent', () => {
    const rules = [{ ...rule, availabilityCondition: condition }, rule]
    expect(boundaryOf(json(rules))).toEqual(rules)
  })

  it('JSON that was percent-encoded twice means the same', () => {
    expect(boundaryOf(encodeURIComponent(json([rule])))).toEqual([rule])
    const percent = [{ ...rule, availabilityCondition: { expression: "'%41'" } }]
    expect(boundaryOf(json(percent))).toEqual(percent)
  })

  it('members that cannot widen a token are ignored, beside a boundary and without', () => {
    expect(boundaryOf('{"userProject":"acme"}')).toBeUndefined()
    expect(boundaryOf('{"other":1}')).toBeUndefined()
    expect(boundaryOf('{}')).toBeUndefined()
    expect(boundaryOf(`{"bindCertFingerprint":"x",${json([rule]).slice(1)}`)).toEqual([rule])
  })

  it('P13: what would be a boundary but for its form is refused, so that no restriction is skipped over', () => {
    const rejected: readonly string[] = [
      'nonsense',
      '%',
      'null',
      '[]',
      '"{}"',
      '1',
      '{"accessBoundary":{}}',
      '{"accessBoundary":null}',
      '{"accessBoundary":{"accessBoundaryRules":[],"x":1}}',
      '{"accessboundary":{"accessBoundaryRules":[]}}',
      '{"access_boundary":{"accessBoundaryRules":[]}}',
      json([]),
      json([{ ...rule, extra: 1 }]),
      json([{ ...rule, availablePermissions: [] }]),
      json([{ ...rule, availablePermissions: ['roles/storage.admin'] }]),
      json([{ ...rule, availableResource: '' }]),
      json([{ ...rule, availabilityCondition: { title: 't' } }]),
      json([{ ...rule, availabilityCondition: null }]),
      json([{ ...rule, availabilityCondition: { ...condition, extra: 1 } }]),
      json(Array.from({ length: 11 }, () => rule)),
      json([{ ...rule, availabilityCondition: { expression: 'x'.repeat(2049) } }]),
    ]
    for (const options of rejected) expect(refused({ options })).toContain('request_malformed: options')
  })

  it('P13: what means one thing to one reader and another to the next is refused', () => {
    const [a, b] = [json([rule]), json([{ ...rule, availableResource: 'other' }])]
    const both = `${a.slice(0, -1)},${b.slice(1)}`
    expect(refused({ options: both })).toBe('request_malformed: options has a duplicate member')
    expect(refused({ options: encodeURIComponent(both) })).toContain('has a duplicate member')
  })

  it('P13: an ID token cannot be narrowed by a boundary, so it is not asked for with one', () => {
    const type = 'urn:ietf:params:oauth:token-type:id_token'
    expect(refused({ options: json([rule]), requested_token_type: type })).toContain('only an access token')
  })

  it('a refusal names the place and nothing that was sent', () => {
    expect(refused({ options: json([{ ...rule, availablePermissions: ['x'] }]) })).toBe(
      'request_malformed: options.accessBoundary.accessBoundaryRules.0.availablePermissions.0 is missing or of a wrong form',
    )
  })
})
