import { afterAll, afterEach, beforeEach } from 'vitest'
import { attempts } from './outbound-attempts.ts'

// Set-up file of every test file: an attempt to leave this machine fails the test that made it.
// Before the first test: what a file did while it was read. Afterwards: what the last test left running.
beforeEach(failOnAttempts)
afterEach(failOnAttempts)
afterAll(failOnAttempts)

function failOnAttempts(): void {
  const made = attempts.splice(0)
  if (made.length > 0) throw new Error(`a test may not leave this machine: ${made.join(', ')}`)
}
