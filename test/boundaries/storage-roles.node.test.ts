import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { containedRoles, narrowerPermission } from '../../src/boundaries/intersect-boundaries.ts'
import { repository } from '../support/run-node.ts'

/** The table of permissions in docs/google.md §2.4, by role. */
function permissionsOfRoles(): ReadonlyMap<string, ReadonlySet<string>> {
  const page = readFileSync(join(repository, 'docs/google.md'), 'utf8')
  const section = page.slice(page.indexOf('### 2.4'), page.indexOf('## 3.'))
  const [head = [], , ...rows] = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  const columns = head.entries().filter(([, cell]) => cell.startsWith('`roles/'))
  return new Map(
    columns.map(([column, role]) => [
      role.replaceAll('`', ''),
      new Set(rows.filter((row) => row[column] === 'yes').map((row) => row[1] ?? '')),
    ]),
  )
}

test('a role is only said to contain another where it has every permission of it', () => {
  const roles = permissionsOfRoles()
  const pairs = [...containedRoles].flatMap(([role, inner]) =>
    [...inner].map((other) => [role, other] as const),
  )
  const beyond = pairs.filter(([role, inner]) => {
    const permissions = roles.get(inner) ?? new Set([inner])
    return !permissions.isSubsetOf(roles.get(role) ?? new Set())
  })

  expect(roles.size).toBe(6)
  expect(roles.get('roles/storage.objectUser')?.size).toBe(27)
  expect(pairs).toHaveLength(13)
  expect(beyond).toEqual([])
})

test('of two roles of which nothing is known there is no narrower one', () => {
  const viewer = 'inRole:roles/storage.objectViewer'

  expect(narrowerPermission(viewer, 'inRole:roles/storage.admin')).toBe(viewer)
  expect(narrowerPermission('inRole:roles/storage.admin', viewer)).toBe(viewer)
  for (const other of [
    'inRole:roles/storage.objectCreator',
    'inRole:organizations/1/roles/storage.admin',
    'inRole:roles/constructor',
  ])
    expect(narrowerPermission(viewer, other)).toBeUndefined()
})
