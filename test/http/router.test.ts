import { describe, expect, test } from 'vitest'
import { createRouter } from '../../src/http/router.ts'

const found = (router: ReturnType<typeof createRouter<string>>, method: string, path: string) =>
  router.match(method, path)[0].map(([handler]) => handler)

describe('the router', () => {
  const router = createRouter<string>()
  router.add('POST', '/v1/token', 'token')
  router.add('GET', '/v1/things/:name{[a-z]+}', 'one')
  router.add('POST', '/v1/things/:name{[a-z]+:stop}', 'stop')
  router.add('GET', '/v1/things/all', 'all')

  test.each([
    ['an exact path', 'POST', '/v1/token', ['token']],
    ['a pattern', 'GET', '/v1/things/this', ['one']],
    ['a pattern with a verb', 'POST', '/v1/things/this:stop', ['stop']],
    ['an exact path that a pattern would take too', 'GET', '/v1/things/all', ['all']],
    ['another method', 'GET', '/v1/token', []],
    ['a longer path', 'POST', '/v1/token/', []],
    ['no path of ours', 'POST', '/v1/tokens', []],
    ['a member of every object', 'POST', 'constructor', []],
  ])('finds %s', (_, method, path, handlers) => {
    expect(found(router, method, path)).toEqual(handlers)
  })

  test.each([
    ['ALL', '/v1/token'],
    ['GET', '/v1/*'],
  ])('refuses what would run for some paths and be left out for exact ones: %s %s', (method, path) => {
    expect(() => createRouter<string>().add(method, path, 'middleware')).toThrow(TypeError)
  })
})
