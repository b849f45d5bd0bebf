import { expect, test } from 'vitest'
import { claimNameFault, createFindClaim } from '../../src/domain/caller.ts'

test('a claim is found by its name or by a JSON Pointer, and never by inheritance', () => {
  const claims = { sub: 'a', 'a/b': { '~': ['x', { y: true }] }, '/kubernetes.io': 'no pointer' }

  expect(createFindClaim('sub')(claims)).toBe('a')
  expect(createFindClaim('/a~1b/~0/1/y')(claims)).toBe(true)
  for (const name of ['toString', '__proto__', '/sub/length', '/a~1b/~0/-1', '/a~1b/~0/01', '/kubernetes.io'])
    expect(createFindClaim(name)(claims)).toBeUndefined()
})

test('what cannot name a claim is told', () => {
  expect(['', '/a~', '/a~2'].map(claimNameFault)).not.toContain(undefined)
  expect(['a~', '/a~0', '/', 'https://a.example/~x'].map(claimNameFault)).toEqual(Array(4).fill(undefined))
})
