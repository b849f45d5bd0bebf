import { expect, test } from 'vitest'
import { createMatchCaller, createMatchText, patternFault } from '../../src/policy/match-caller.ts'
import type { Claims, Json } from '../../src/domain/caller.ts'
import { callerOf } from '../support/policies.ts'

const issuer = 'https://cluster.example'

function matches(
  pattern: { subject?: string; claims?: Record<string, Json> },
  subject: string,
  claims: Claims = {},
): boolean {
  const { subject: wanted = '*', claims: wantedClaims = {} } = pattern
  return createMatchCaller(
    { issuer: 'cluster', subject: wanted, claims: wantedClaims },
    issuer,
  )(callerOf(subject, claims))
}

test.each([
  ['billing', 'billing', true],
  ['billing', 'Billing', false],
  ['billing', 'billing ', false],
  ['billing', 'billing\n', false],
  ['billing', 'xbilling', false],
  ['billing', 'bіlling', false],
  ['caf\u00E9', 'cafe\u0301', false],
  ['a.c', 'abc', false],
  ['(a|b)+', 'a', false],
  ['*', 'exporter', true],
  ['*', '', false],
  ['*', 'a:b', false],
  ['*', 'a/b', false],
  ['system:serviceaccount:billing:*', 'system:serviceaccount:billing:worker', true],
  ['system:serviceaccount:billing:*', 'system:serviceaccount:billing:', false],
  ['system:serviceaccount:billing:*', 'system:serviceaccount:billing:a:b', false],
  ['system:serviceaccount:billing:*', 'system:serviceaccount:billing-evil:worker', false],
  ['system:*:billing:worker', 'system:x:y:billing:worker', false],
  ['repo:acme/*:ref:refs/heads/release-*', 'repo:acme/shop:ref:refs/heads/release-7', true],
  ['repo:acme/*:ref:refs/heads/release-*', 'repo:acme/shop:ref:refs/heads/release-', false],
  ['repo:acme/*:ref:refs/heads/release-*', 'repo:acme/shop:ref/refs/heads/release-7', false],
  ['*@acme.example', 'ann@acme.example', true],
  ['*@acme.example', 'ann@acme.example.evil', false],
  ['*@acme.example', '@acme.example', false],
  ['team-*-prod-*', 'team-a-prod-b', true],
  ['team-*-prod-*', 'team-a-prod-prod-', true],
  ['team-*-prod-*', 'team--prod-b', false],
  ['a*a', 'aa', false],
  ['a*a', 'aba', true],
  ['*a*b*', 'xaybz', true],
  ['*a*b*', 'xabz', false],
  ['a::*', 'a::b', true],
  ['a::*', 'a:x:b', false],
])('the subject pattern %j and the subject %j: %s', (pattern, subject, expected) => {
  expect(matches({ subject: pattern }, subject)).toBe(expected)
})

test('P4: the same subject of another issuer is another caller, whatever the name of its issuer', () => {
  const match = createMatchCaller({ issuer: 'cluster', subject: 'a', claims: {} }, issuer)

  expect(match(callerOf('a'))).toBe(true)
  for (const other of ['https://cluster.example/', 'https://CLUSTER.example', 'cluster', ''])
    expect(match({ ...callerOf('a'), issuer: other })).toBe(false)
})

const claims: Claims = {
  kubernetes: { namespace: 'billing', pods: ['a', 'b'] },
  'kubernetes.io': { namespace: 'billing', serviceaccount: { name: 'worker', uid: 7 } },
  groups: ['team:a', 'team:b', 3, null],
  nested: [['deep'], { role: 'x' }],
  verified: true,
  level: 1,
  none: null,
  'a/b': { 'c~d': 'odd' },
  'https://acme.example/tier': 'gold',
  empty: [],
  '': 'nameless',
}

test.each<[string, Json, boolean]>([
  ['verified', true, true],
  ['verified', 'true', false],
  ['verified', 1, false],
  ['level', 1, true],
  ['level', '1', false],
  ['none', null, true],
  ['missing', null, false],
  ['missing', 'x', false],
  ['groups', 'team:a', true],
  ['groups', 'team:*', true],
  ['groups', 'team:c', false],
  ['groups', '*', false],
  ['groups', 3, true],
  ['groups', null, true],
  ['empty', '*', false],
  ['nested', 'deep', false],
  ['/nested/0', 'deep', true],
  ['/nested/1/role', 'x', true],
  ['/groups/1', 'team:b', true],
  ['/groups/01', 'team:b', false],
  ['/groups/-', 'team:b', false],
  ['/groups/9', 'team:b', false],
  ['/groups/length', 4, false],
  ['/kubernetes.io/namespace', 'billing', true],
  ['/kubernetes.io/namespace', 'bill*', true],
  ['/kubernetes.io/serviceaccount/uid', 7, true],
  ['kubernetes.io', 'billing', false],
  ['kubernetes/namespace', 'billing', false],
  ['/a~1b/c~0d', 'odd', true],
  ['https://acme.example/tier', 'gold', true],
  ['/', 'nameless', true],
  ['/kubernetes.io/namespace/0', 'b', false],
  ['constructor', '*', false],
  ['/constructor/name', 'Object', false],
  ['__proto__', null, false],
  ['/__proto__/x', 'y', false],
  ['toString', '*', false],
  ['/verified/constructor', '*', false],
])('the claim %j wanted to be %j: %s', (name, wanted, expected) => {
  expect(matches({ claims: { [name]: wanted } }, 'a', claims)).toBe(expected)
})

test('every claim that is named must match', () => {
  expect(matches({ claims: { level: 1, verified: true } }, 'a', claims)).toBe(true)
  expect(matches({ claims: { level: 1, verified: false } }, 'a', claims)).toBe(false)
})

test('a claim called __proto__ is matched only where the token itself has it', () => {
  const own: Claims = Object.fromEntries<Json>([['__proto__', { x: 'y' }]])

  expect(matches({ claims: { '/__proto__/x': 'y' } }, 'a', own)).toBe(true)
})

test('a hostile text takes no more than its length, whatever the pattern', () => {
  const match = createMatchText('*a*a*a*a*a*a*a*a*a*a*b')
  const started = performance.now()
  for (let round = 0; round < 100; round += 1) expect(match('a'.repeat(16_384))).toBe(false)

  expect(performance.now() - started).toBeLessThan(1000)
})

test('patterns that mean nothing are told apart from those that do', () => {
  expect(['', '**', 'a**b'].map(patternFault)).not.toContain(undefined)
  expect(['*', 'a*b*c'].map(patternFault)).toEqual([undefined, undefined])
})

test('T8: a caller that an access token proved is taken by a pattern that names its client_id, and by no other', () => {
  const claims = { sub: 'robot', client_id: 'robot', team: 'ops' }
  const caller = { issuer, issuerName: 'sso', subject: 'robot', claims }
  const matches = (wanted: Readonly<Record<string, Json>>, proved: object) =>
    createMatchCaller({ issuer: 'sso', subject: '*', claims: wanted }, issuer)({ ...caller, ...proved })
  const byAccessToken = { provedByAccessToken: true as const }
  expect(matches({ client_id: 'robot' }, byAccessToken)).toBe(true)
  expect(matches({ '/client_id': 'robot' }, byAccessToken)).toBe(true)
  expect(matches({ client_id: 'other' }, byAccessToken)).toBe(false)
  expect(matches({ team: 'ops' }, byAccessToken)).toBe(false)
  expect(matches({}, byAccessToken)).toBe(false)
  expect(matches({}, {})).toBe(true)
})
