import { describe, expect, it } from 'vitest'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createPursueRotation } from '../../src/rotation/drive-rotation.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { createSkippingClock } from '../support/skipping-clock.ts'

/** A rotation that has to wait 20 s after each of its steps, and is over after so many. */
function createScene({ steps = 3, pursuedForMs = 300_000, runsAfterAnswer = true } = {}) {
  const clock = createSkippingClock()
  const background = createAwaitableBackground(runsAfterAnswer)
  let driven = 0
  const { pursue } = createPursueRotation({
    drive: async () => {
      driven += 1
      return 1
    },
    find: async () => {
      const rotation = { nextTryAt: later(clock.now(), seconds(20)) }
      return { name: 'reports-sa', ...(driven < steps ? { rotation } : {}) } as CredentialSummary
    },
    background,
    clock,
    log: createLogBook().log,
    pursuedForMs,
  })
  const run = async () => {
    pursue('reports-sa')
    await background.settled()
    return { driven, slept: clock.slept }
  }
  return { run }
}

describe('a rotation that was begun', () => {
  it('is driven to its end after the answer, through its waiting times', async () => {
    expect(await createScene().run()).toEqual({ driven: 3, slept: [20_000, 20_000] })
  })

  it('is left to maintenance where it would take longer than there is time', async () => {
    expect(await createScene({ steps: 9, pursuedForMs: 50_000 }).run()).toMatchObject({ driven: 3 })
  })

  it('is left to maintenance where there is no CPU after an answer', async () => {
    expect(await createScene({ runsAfterAnswer: false }).run()).toMatchObject({ driven: 0 })
  })
})
