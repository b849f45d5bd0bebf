import { expect, test } from 'vitest'
import { Secret } from '../../src/domain/secret.ts'
import { openCookie } from '../../src/sign-in/sessions.ts'

test('a cookie longer than any of ours is not opened', async () => {
  let opened = 0
  const open = () => {
    opened += 1
    return Promise.resolve(new Secret('a session'))
  }

  expect(await openCookie({ open }, 'x'.repeat(4_001), 'place')).toBeUndefined()
  expect(opened).toBe(0)
  expect(await openCookie({ open }, 'x'.repeat(4_000), 'place')).toBe('a session')
})
