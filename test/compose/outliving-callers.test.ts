import { expect, test } from 'vitest'

import { outlivingCallers } from '../../src/compose/outliving-callers.ts'
import { createAwaitableBackground } from '../support/quiet.ts'

const request = new Request('https://tokens.acme.example/')

test('what is being served goes on in the background, and the answer is the same one', async () => {
  const answer = Promise.withResolvers<Response>()
  const background = createAwaitableBackground()
  const serve = outlivingCallers(() => answer.promise, background)

  const served = serve(request)

  expect(background.started()).toBe(1)
  const response = new Response('done')
  answer.resolve(response)
  await background.settled()
  expect(await served).toBe(response)
})

test('what is answered at once leaves nothing behind', () => {
  const background = createAwaitableBackground()
  const response = new Response('done')

  expect(outlivingCallers(() => response, background)(request)).toBe(response)
  expect(background.started()).toBe(0)
})
