import { expect, test } from 'vitest'
import { isLoopback } from '../../src/domain/url.ts'

const hostOf = (url: string): string => new URL(url).hostname

test.each(['http://localhost:9', 'http://127.0.0.1', 'http://127.9.9.9', 'http://127.1', 'http://[::1]'])(
  '%s is this machine',
  (url) => {
    expect(isLoopback(hostOf(url))).toBe(true)
  },
)

test.each([
  'http://127.0.0.1.example',
  'http://localhost.example',
  'http://128.0.0.1',
  'http://0.0.0.0',
  'http://169.254.169.254',
  'http://[::2]',
  'http://[::ffff:127.0.0.1]',
])('%s is another one', (url) => {
  expect(isLoopback(hostOf(url))).toBe(false)
})
