import { expect, test } from 'vitest'
import { watchUpstreams } from '../../src/compose/name-call.ts'
import type { HttpResult } from '../../src/ports/http-client.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const answer = (status: number): HttpResult => ({ kind: 'answer', status, header: () => undefined, body: '' })
const lost: HttpResult = { kind: 'failure', cause: 'timeout', detail: 'no answer' }

test('an upstream is known by its last answer, or since when it gives none, and strangers not at all', async () => {
  const clock = createFakeClock()
  const start = clock.now()
  let next = answer(200)
  const names = new Map([
    ['https://google.example/', 'google'],
    ['https://dev.example/', 'dev'],
    ['https://issuer.example/', 'issuer'],
    ['https://else.example/', 'other'],
  ])
  const { http, seen } = watchUpstreams({ http: async () => next, clock }, (url) => ({
    upstream: names.get(url) ?? 'other',
    operation: 'token',
  }))
  const ask = async (url: string, result: HttpResult) => {
    await clock.advance(1000)
    next = result
    expect(await http({ method: 'GET', url, timeoutMs: 1, maxBytes: 1 })).toBe(result)
  }
  for (const url of names.keys()) await ask(url, answer(400))
  expect(seen()).toEqual([
    { name: 'dev', ok: true, at: start + 2 },
    { name: 'google', ok: true, at: start + 1 },
  ])

  await ask('https://dev.example/', answer(503))
  await ask('https://dev.example/', lost)
  await ask('https://google.example/', answer(429))
  expect(seen()).toEqual([
    { name: 'dev', ok: false, reason: 'no answer: timeout', at: start + 5 },
    { name: 'google', ok: false, reason: 'it answers 429', at: start + 7 },
  ])

  await ask('https://dev.example/', answer(200))
  expect(seen()[0]).toEqual({ name: 'dev', ok: true, at: start + 8 })
})
