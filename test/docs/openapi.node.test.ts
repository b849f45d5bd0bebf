import { expect, test } from 'vitest'
import { buildOpenApi } from '../../infra/docs/openapi/build-openapi.ts'
import openApi from '../../src/http/openapi.json' with { type: 'json' }

test('the OpenAPI document is the one that the code makes (else: npm run docs:openapi)', () => {
  expect(openApi).toEqual(JSON.parse(JSON.stringify(buildOpenApi())))
})
