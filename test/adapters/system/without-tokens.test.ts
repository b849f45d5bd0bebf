import { describe, expect, it } from 'vitest'
import { redactTokens } from '../../../src/adapters/system/audit-trail.ts'

describe('a text without tokens', () => {
  it.each([
    ['an access token of Google', 'ya29.', 8],
    ['a client secret of Google', 'GOCSPX-', 8],
    ['a JWT', 'eyJ', 16],
    ['a refresh token of Google', '1//0', 16],
    ['a refresh token of Google, percent-encoded', '1%2F%2F0', 16],
  ])('%s of the shortest length is cut, also where it is the whole text', (_what, prefix, length) => {
    const secret = prefix + 'a'.repeat(length)
    expect(redactTokens(secret)).toBe('[cut]')
    expect(redactTokens(`scope ${secret} asked`)).toBe('scope [cut] asked')
    // One character shorter it is a name like any other.
    expect(redactTokens(secret.slice(0, -1))).toBe(secret.slice(0, -1))
  })

  it('cuts every one of them, whole', () => {
    expect(redactTokens(`ya29.${'a'.repeat(200)} and GOCSPX-${'b'.repeat(28)}`)).toBe('[cut] and [cut]')
    expect(redactTokens(`eyJ${'a'.repeat(20)}.eyJ${'b'.repeat(20)}.${'c'.repeat(43)}`)).toBe('[cut]')
  })

  it.each(['reports-sa', 'devstorage.read_only', 'https://www.googleapis.com/auth/drive'])(
    'leaves the name %s as it is',
    (text) => {
      expect(redactTokens(text)).toBe(text)
    },
  )
})
