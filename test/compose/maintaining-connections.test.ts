import { expect, test } from 'vitest'
import { maintainingConnections } from '../../src/compose/people.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { createLogBook } from '../support/quiet.ts'

const tidying = (trouble: Error) => {
  const { log, lines } = createLogBook()
  const connect = { tidy: () => Promise.reject(trouble) } as unknown as Parameters<
    typeof maintainingConnections
  >[1]
  return { run: maintainingConnections(async () => 'report', connect, log), lines }
}

test('connections that cannot be tidied are logged, and what maintenance did is reported', async () => {
  const { run, lines } = tidying(new BrokerError('store_unavailable', { reason: 'it is down' }))
  expect(await run()).toBe('report')
  expect(JSON.stringify(lines)).toContain('it is down')
})

test('a bug in it is no trouble of the store', async () => {
  await expect(tidying(new TypeError('a bug')).run()).rejects.toThrow('a bug')
})
