import { expect, test } from 'vitest'
import { unreportedAttempts } from './workerd-network-guard.ts'

test.each(['https://example.com/', 'http://169.254.169.254/', 'https://127.0.0.1.example.com/'])(
  'a fetch of %s is refused and noted',
  async (url) => {
    await expect(fetch(url)).rejects.toThrow(/may not leave this machine/)

    expect(unreportedAttempts()).toEqual([new URL(url).origin])
  },
)

test('positive control: a fetch of loopback is tried', async () => {
  await expect(fetch('http://127.0.0.1:1/')).rejects.not.toThrow(/may not leave this machine/)
})
