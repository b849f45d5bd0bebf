import { expect, test } from 'vitest'
import { createEntropy } from '../../src/adapters/system/clock-and-entropy.ts'
import { createOutOfService } from '../../src/http/refuse.ts'

test.each(['/v1/token', '/healthz', '/readyz', '/v1/admin/credentials', '/nothing'])(
  'a broker out of service answers %s with 503, uncached, with a request id and without a reason',
  async (path) => {
    const serve = createOutOfService(createEntropy())

    const answer = serve(new Request(`https://tokens.acme.example${path}`, { method: 'POST' }))

    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('60')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(await answer.json()).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'the token service is not set up; its log says what is missing',
    })
  },
)
