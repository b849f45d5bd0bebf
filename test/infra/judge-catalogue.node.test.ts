import { expect, test } from 'vitest'
import { judgeCatalogue, methodsByScope } from '../../infra/docs/scopes/judge-catalogue.ts'
import type { ScopeEdges } from '../../src/policy/scope-catalogue.ts'

const auth = 'https://www.googleapis.com/auth/'
const scopes = (...names: readonly string[]) => names.map((name) => `${auth}${name}`)
const methods = methodsByScope([
  {
    id: 'compute:v1',
    methods: { list: { id: 'list', scopes: scopes('compute', 'compute.readonly') } },
    resources: {
      disks: {
        methods: { insert: { id: 'insert', scopes: scopes('compute') }, open: { id: 'open' } },
        resources: { images: { methods: { get: { id: 'get', scopes: scopes('compute.readonly') } } } },
      },
    },
  },
  { id: 'storage:v1', methods: { get: { id: 'get', scopes: scopes('drive', 'drive.readonly') } } },
])

test.each<[string, ScopeEdges, readonly string[]]>([
  ['an edge that every method bears out', edge('drive', 'drive.readonly', 1), []],
  [
    'a method that takes the narrower scope only',
    edge('compute', 'compute.readonly', 2),
    ['compute implies compute.readonly: not for compute:v1 get'],
  ],
  [
    'another number of methods',
    edge('drive', 'drive.readonly', 3),
    ['drive implies drive.readonly: 1 methods, and 3 in the catalogue'],
  ],
  [
    'a scope no method takes',
    edge('drive', 'drive.file', 1),
    ['drive implies drive.file: 0 methods, and 1 in the catalogue'],
  ],
  ['a description, where discovery is silent', edge('drive', 'drive.file', null, 'description'), []],
  [
    'a description, where discovery is not',
    edge('drive', 'drive.readonly', null, 'description'),
    ['drive implies drive.readonly: 1 methods, and 0 in the catalogue'],
  ],
])('discovery is held against the catalogue: %s', (_, edges, faults) => {
  expect(judgeCatalogue([edges], methods)).toEqual(faults)
})

test('a method is allowed to contradict an edge where the edge names it, and no other', () => {
  const readonly = edge('compute', 'compute.readonly', 1, 'but_for')

  expect(judgeCatalogue([{ ...readonly, except: ['get'] }], methods)).toEqual([])
  expect(judgeCatalogue([{ ...readonly, except: ['list'] }], methods)).toHaveLength(1)
})

function edge(
  scope: string,
  narrower: string,
  count: number | null,
  evidence: ScopeEdges['evidence'] = 'discovery',
): ScopeEdges {
  return { scope, evidence, implies: { [narrower]: count } }
}
