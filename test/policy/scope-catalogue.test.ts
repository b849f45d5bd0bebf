import { expect, test } from 'vitest'
import {
  enoughScopes,
  fullScopeName,
  impliedScopes,
  scopesGivenBy,
  scopesImpliedBy,
  shortScopeName,
  bareScopes,
  scopeCatalogue,
} from '../../src/policy/scope-catalogue.ts'

const full = (name: string) => `https://www.googleapis.com/auth/${name}`
const impliedBy = (name: string) => [...scopesImpliedBy(fullScopeName(name))].map(shortScopeName).toSorted()

test('what a scope implies is found through every step', () => {
  expect(impliedBy('drive')).toContain('spreadsheets.readonly')
  expect(impliedBy('cloud-billing')).toEqual(['cloud-billing.readonly'])
  expect(impliedBy('cloud-platform')).toEqual(
    expect.arrayContaining([
      'compute.readonly',
      'devstorage.read_only',
      'cloud-billing.readonly',
      'logging.write',
    ]),
  )
})

test.each([
  ['cloud-platform', 'drive.readonly'],
  ['cloud-platform', 'openid'],
  ['cloud-platform', 'userinfo.email'],
  ['cloud-platform', 'firebase'],
  ['cloud-platform', 'taskqueue.consumer'],
  ['cloud-platform.read-only', 'compute.readonly'],
  ['devstorage.read_write', 'devstorage.read_only'],
  ['drive.file', 'drive.metadata.readonly'],
  ['bigquery', 'devstorage.read_only'],
  ['compute.readonly', 'compute'],
  ['logging.read', 'logging.write'],
  ['taskqueue.consumer', 'taskqueue'],
  ['userinfo.email', 'userinfo.profile'],
])('docs/google.md §6.3: %s does not imply %s, or not without exception', (broad, narrow) => {
  expect(impliedBy(broad)).not.toContain(narrow)
})

test('docs/google.md §6.3: what is implied with an exception says which, and only that', () => {
  const hmacKeys = ['storage.projects.hmacKeys.get', 'storage.projects.hmacKeys.list']
  const readOnly = full('devstorage.read_only')

  expect([...scopesGivenBy(full('devstorage.read_write'))]).toContain(readOnly)
  expect(scopeCatalogue.filter(({ evidence }) => evidence === 'but_for').map(({ except }) => except)).toEqual(
    [hmacKeys],
  )
  expect(impliedScopes(['devstorage.read_write', 'compute'], [readOnly, full('compute.readonly')])).toEqual([
    { scope: readOnly, by: full('devstorage.read_write'), except: hmacKeys },
    { scope: full('compute.readonly'), by: full('compute'), except: [] },
  ])
  // Where another scope of the rule implies it wholly, there is no exception.
  expect(impliedScopes(['devstorage.read_write', 'devstorage.full_control'], [readOnly])).toEqual([
    { scope: readOnly, by: full('devstorage.full_control'), except: [] },
  ])
  expect(impliedScopes(['devstorage.read_only'], [readOnly])).toEqual([])
})

test('what would have been enough is never more than the rule has', () => {
  const used = [full('devstorage.read_only'), full('devstorage.read_write')]
  const asked = { used, upstream: 'google' }

  expect(enoughScopes({ ...asked, written: ['devstorage.read_write'], givesImplied: true })).toEqual([
    'devstorage.read_write',
  ])
  const both = ['devstorage.read_only', 'devstorage.read_write']
  expect(enoughScopes({ ...asked, written: both, givesImplied: false })).toEqual(both)
})

test('two scopes imply each other only where they are two names of one', () => {
  const mutual = scopeCatalogue.flatMap(({ scope, evidence, implies }) =>
    Object.keys(implies)
      .filter((other) => evidence !== 'alias' && impliedBy(other).includes(scope))
      .map((other) => [scope, other]),
  )

  expect(mutual).toEqual([])
})

test('an edge says how many methods stand behind it, or that none could', () => {
  for (const { evidence, implies } of scopeCatalogue)
    for (const methods of Object.values(implies))
      if (evidence === 'discovery' || evidence === 'but_for' || evidence === 'withdrawn_api')
        expect(methods).toBeGreaterThan(0)
      else expect(methods).toBeNull()
})

test('a short name stands for its URL, and what is no short name for itself', () => {
  expect(fullScopeName('compute.readonly')).toBe(full('compute.readonly'))
  for (const word of [
    ...bareScopes,
    full('compute'),
    'https://mail.google.com/',
    'read',
    'Compute',
    'toString',
  ])
    expect(fullScopeName(word)).toBe(word)
  expect(scopesImpliedBy('compute')).toEqual(new Set())
  expect(scopesImpliedBy('constructor')).toEqual(new Set())
})
