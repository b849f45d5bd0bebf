import { afterAll, afterEach, beforeEach } from 'vitest'

/** Set-up file of every test file in workerd: an attempt to leave this machine fails the test that made it. */
const attempts: string[] = []
const outbound = globalThis.fetch

globalThis.fetch = (input, init) => {
  const { hostname, origin } = new URL(input instanceof Request ? input.url : input)
  if (isLoopback(hostname)) return outbound(input, init)
  attempts.push(origin)
  return Promise.reject(new TypeError(`a test may not leave this machine: ${origin}`))
}

beforeEach(failOnAttempts)
afterEach(failOnAttempts)
afterAll(failOnAttempts)

/** Those since the last look; the test that takes them does not fail for them. */
export function unreportedAttempts(): readonly string[] {
  return attempts.splice(0)
}

/** `hostname` is as the URL parser left it. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

function failOnAttempts(): void {
  const made = unreportedAttempts()
  if (made.length > 0) throw new Error(`a test may not leave this machine: ${made.join(', ')}`)
}
