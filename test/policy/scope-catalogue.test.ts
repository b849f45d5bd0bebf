import { expect, test } from 'vitest'
import {
  fullScopeName,
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
])('docs/google.md §6.3: %s does not imply %s', (broad, narrow) => {
  expect(impliedBy(broad)).not.toContain(narrow)
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
      if (evidence === 'discovery' || evidence === 'withdrawn_api') expect(methods).toBeGreaterThan(0)
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
