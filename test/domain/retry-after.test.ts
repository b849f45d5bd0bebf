import { expect, test } from 'vitest'
import { epochSeconds, parseRetryAfter } from '../../src/domain/time.ts'

// Fri, 15 Jan 2027 08:00:00 GMT
const now = epochSeconds(1_800_000_000)

test.each([
  ['seconds', '7', 7],
  ['seconds with white space', ' 7 ', 7],
  ['0 becomes 1', '0', 1],
  ['more than a minute becomes a minute', '86400', 60],
  ['a date', 'Fri, 15 Jan 2027 08:00:30 GMT', 30],
  ['a date that has passed', 'Sun, 06 Nov 1994 08:49:37 GMT', 1],
  ['a date far away', 'Tue, 29 Feb 2028 00:00:00 GMT', 60],
])('P21: %s', (_, text, wait) => {
  expect(parseRetryAfter(text, now)).toBe(wait)
})

test.each([
  '',
  '-1',
  '1.5',
  'soon',
  '1e3',
  'Fri, 15 Foo 2027 08:00:30 GMT',
  '2027-01-15T08:00:30Z',
  '99999999999',
])('"%s" is malformed, and as if it were not there', (text) => {
  expect(parseRetryAfter(text, now)).toBeUndefined()
})

test('every day of four hundred years is the day that Date says', () => {
  for (let day = 0; day < 146_097; day += 37) {
    const at = 946_684_800 + day * 86_400
    const text = new Date(at * 1000).toUTCString()
    expect([text, parseRetryAfter(text, epochSeconds(at - 42))]).toEqual([text, 42])
  }
})
