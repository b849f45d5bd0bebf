import { expect, test } from 'vitest'
import type { AdminContext, Administer } from '../../src/administer.ts'
import { completeAfterDisconnect } from '../../src/compose/administration.ts'
import { createAwaitableBackground } from '../support/quiet.ts'

const context: AdminContext<string> = {
  requestId: 'r-1',
  bearer: undefined,
  action: 'credential.read',
  needed: 'viewer',
  perform: () => Promise.resolve('done'),
}
const administer: Administer = ({ perform }) =>
  perform({ issuer: '', issuerName: '', subject: '', claims: {} }, () => undefined)

test('an act of administration goes on in the background, and its result is the same one', async () => {
  const result = Promise.withResolvers<string>()
  const background = createAwaitableBackground()
  const outliving = completeAfterDisconnect(administer, background)

  const act = outliving({ ...context, perform: () => result.promise })

  expect(background.started()).toBe(1)
  result.resolve('done')
  await background.settled()
  expect(await act).toBe('done')
})

test("an act that fails is its caller's matter and no failure of the background", async () => {
  const background = createAwaitableBackground()
  const outliving = completeAfterDisconnect(administer, background)

  const act = outliving({ ...context, perform: () => Promise.reject(new Error('refused')) })

  await expect(act).rejects.toThrow('refused')
  await background.settled()
})
