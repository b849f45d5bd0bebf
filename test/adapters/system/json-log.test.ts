import { describe, expect, test } from 'vitest'
import { createJsonLog } from '../../../src/adapters/system/json-log.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { Secret } from '../../../src/domain/secret.ts'
import type { LogLevel } from '../../../src/ports/log.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const secret = 'hunter2'

describe('the log', () => {
  test("writes one line of JSON with Cloud Logging's names", () => {
    const { log, lines } = create('debug')

    log('debug', 'a')
    log('info', 'b', { request_id: 'r1', nested: { list: [1, null, true] } })
    log('warn', 'c\nd')
    log('error', 'e')

    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { severity: 'DEBUG', time: '2027-01-15T08:00:00.000Z', message: 'a' },
      expect.objectContaining({ severity: 'INFO', request_id: 'r1', nested: { list: [1, null, true] } }),
      expect.objectContaining({ severity: 'WARNING', message: 'c\nd' }),
      expect.objectContaining({ severity: 'ERROR' }),
    ])
    for (const line of lines) expect(line).not.toContain('\n')
  })

  test('a line has nothing that a terminal obeys or nobody sees, and means the same', () => {
    const { log, lines } = create('info')
    const hostile = 'a\u007f\u009b31m\u202e\u2066\u061c\u200b\ufeffb'
    log('warn', hostile, { issuer: hostile })

    expect(lines.join('')).toMatch(/^[\x20-\x7e]*$/)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: hostile, issuer: hostile })
  })

  test.each([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ] as const)('at level %s writes %i of the four levels', (level, count) => {
    const { log, lines } = create(level)

    for (const each of ['debug', 'info', 'warn', 'error'] as const) log(each, 'x')

    expect(lines).toHaveLength(count)
  })

  test('P23: a secret prints as [secret], wherever it is', () => {
    const { log, lines } = create('debug')

    log('error', 'x', { secret: new Secret(secret), deep: [{ token: new Secret(secret) }] })

    expect(lines[0]).not.toContain(secret)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ secret: '[secret]', deep: [{ token: '[secret]' }] })
  })

  test('a planned failure shows code, reason and causes', () => {
    const { log, lines } = create('debug')
    const cause = Object.assign(new TypeError(`fetch failed ${secret}`), { code: 'ECONNREFUSED' })
    const error = new BrokerError('upstream_unavailable', { reason: 'no answer', cause })

    log('warn', 'x', { error })
    log('error', 'x', { error })

    const [warned, failed] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(warned?.['error']).toEqual({
      name: 'BrokerError',
      code: 'upstream_unavailable',
      reason: 'no answer',
      cause: { name: 'TypeError', code: 'ECONNREFUSED' },
    })
    expect(failed?.['error']).toMatchObject({
      reason: 'no answer',
      stack: expect.arrayContaining([expect.stringMatching(/^at .*json-log\.test/)]) as unknown,
      cause: { stack: expect.arrayContaining([expect.stringMatching(/^at .*json-log\.test/)]) as unknown },
    })
    expect(lines.join('')).not.toContain(secret)
  })

  test.each([
    ['its message', () => new Error(secret)],
    [
      'a message that looks like a stack',
      () => new Error(`a\n    at ${secret} (file:///x.ts:1:1)\n    at b (x:1:1)`),
    ],
    ['a message changed later', () => withMessage(new Error(`a\n    at ${secret} (x:1:1)`), 'other')],
    ['a message emptied later', () => withMessage(new Error(`a\n    at ${secret} (x:1:1)`), '')],
    ['its name', () => Object.assign(new Error('x'), { name: `is ${secret}` })],
    ['its code', () => Object.assign(new Error('x'), { code: `is ${secret}` })],
    ['its other members', () => Object.assign(new Error('x'), { payload: secret, input: secret })],
    ['its cause that is no error', () => new Error('x', { cause: { token: secret } })],
    [
      'the causes of its cause',
      () => new Error('x', { cause: new Error(secret, { cause: new Error(secret) }) }),
    ],
    ['the errors it gathers', () => new AggregateError([new Error(secret)], secret)],
    ['a JSON syntax error', () => thrownBy(() => JSON.parse(`{"token": ${secret}`))],
  ])('P23: of another error it prints nothing but name, code and frames: %s', (_, create_) => {
    const { log, lines } = create('debug')

    log('error', 'x', { error: create_() })

    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toHaveProperty('error.name')
    expect(lines[0]).not.toContain(secret)
  })

  test('P23: objects with a class of their own show only its name', () => {
    const { log, lines } = create('debug')
    const headers = new Headers({ authorization: secret })

    log('info', 'x', {
      headers,
      url: new URL(`https://a.example/?${secret}`),
      map: new Map([[secret, secret]]),
    })

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ headers: '[Headers]', url: '[URL]', map: '[Map]' })
    expect(lines[0]).not.toContain(secret)
  })

  test('nothing in its fields makes it throw or grow without bound', () => {
    const { log, lines } = create('debug')
    const circle: unknown[] = []
    for (let n = 0; n < 200; n += 1) circle.push(circle)
    const hostile = {
      get boom(): string {
        throw new Error(secret)
      },
    }

    log('info', 'x', {
      circle,
      long: 'y'.repeat(1_000_000),
      big: 10n,
      nan: Number.NaN,
      fn: () => 1,
      no: undefined,
    })
    log('error', 'x', { hostile })

    expect(lines).toHaveLength(2)
    expect(lines[0]?.length).toBeLessThan(20_000)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ big: '10', nan: 'NaN', fn: '[function]' })
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ fields: '[unprintable]' })
  })

  test('a field cannot take the place of severity, time or message', () => {
    const { log, lines } = create('debug')

    log('error', 'real', { severity: 'DEBUG', message: 'fake', time: 'never' })

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ severity: 'ERROR', message: 'real', message_: 'fake' })
  })
})

function create(level: LogLevel) {
  const lines: string[] = []
  return { lines, log: createJsonLog({ level, write: (line) => lines.push(line), clock: createFakeClock() }) }
}

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

/** Looks at the stack first: Node writes it, message and all, when it is first read. */
function withMessage(error: Error, message: string): Error {
  expect(error.stack).toContain(secret)
  return Object.assign(error, { message })
}
