import { expect, test } from 'vitest'
import { createWorkersBackground } from '../../../src/adapters/system/background.ts'
import { createLogBook } from '../../support/quiet.ts'

test('work is handed over running, and its failure is logged and hurts nobody', async () => {
  const { log, lines } = createLogBook()
  const kept: Promise<unknown>[] = []
  const background = createWorkersBackground({
    log,
    waitUntil: (work) => void kept.push(work),
    runsAfterAnswer: true,
  })
  let isStarted = false

  background.run(async () => {
    isStarted = true
  })
  background.run(() => Promise.reject(new Error('broken')))

  expect(isStarted).toBe(true)
  await Promise.all(kept)
  expect(kept).toHaveLength(2)
  expect(lines).toMatchObject([{ level: 'error', message: 'background work failed' }])
})
