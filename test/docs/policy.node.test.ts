import { describe, expect, test } from 'vitest'
import { load } from 'js-yaml'
import { toJSONSchema } from 'zod/mini'
import {
  fullScopeName,
  scopesGivenBy,
  shortScopeName,
  scopeCatalogue,
} from '../../src/policy/scope-catalogue.ts'
import {
  adminSchema,
  issuerSchema,
  policyDocumentSchema,
  ruleSchema,
  upstreamSchema,
} from '../../src/policy/policy-schema.ts'
import { blocks, readPage } from '../support/guides.ts'

describe('docs/policy.md', () => {
  test('has an example of every key that a policy may have', () => {
    const examples = blocks
      .filter(({ path, block }) => path === 'docs/policy.md' && block.language === 'yaml')
      .flatMap(({ block }) => keysOf(load(block.text)))
    const schemas = [policyDocumentSchema, issuerSchema, upstreamSchema, ruleSchema, adminSchema]
    const keys = schemas.flatMap((schema) =>
      keysAllowedBy(toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })),
    )

    expect(keys.filter((key) => !examples.includes(key))).toEqual([])
    expect(new Set(keys).size).toBeGreaterThan(40)
  })

  test('tells of every scope in the catalogue what it implies, and of no other', () => {
    const table = readPage('docs/policy.md').split('| Scope | Implies')[1]?.split('\n\n')[0] ?? ''
    const told = [...table.matchAll(/^\| `(.+?)` \| (.+?) \|/gm)].map(([, scope = '', implied = '']) => [
      scope,
      [...implied.matchAll(/`(.+?)`/g)].map(([, name]) => name).toSorted(),
    ])
    const scopes = new Set(
      scopeCatalogue.map(({ scope }) => scope).filter((scope) => !scope.startsWith('userinfo')),
    )
    const known = [...scopes].map((scope) => [
      scope,
      [...scopesGivenBy(fullScopeName(scope))].map(shortScopeName).toSorted(),
    ])

    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(known))
    expect(known.length).toBeGreaterThan(15)
  })
})

/** Every member's name in a document, at any depth. */
function keysOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const names = Array.isArray(value) ? [] : Object.keys(value)
  return [...names, ...Object.values(value).flatMap(keysOf)]
}

/** Likewise, of what a JSON Schema describes. */
function keysAllowedBy(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === 'properties' ? Object.keys(value as object) : []),
    ...keysAllowedBy(value),
  ])
}
