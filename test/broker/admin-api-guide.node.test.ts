import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { adminRoutes } from '../../src/http/admin-routes.ts'
import { createBrokerWorld, jsonAnswer, type BrokerWorld } from '../support/broker-world.ts'
import { codeBlocksOf } from '../support/markdown-blocks.ts'
import { judgeByOpenApi } from '../support/openapi-judge.ts'
import { createRsaKeyPem } from '../support/rsa-key.ts'
import { repository } from '../support/run-node.ts'

const guide = readFileSync(join(repository, 'docs/admin-api.md'), 'utf8')
const examples = codeBlocksOf(guide)
  .filter(({ language }) => language === 'http')
  .map(({ note, text }) => ({ ...parseExample(text), status: Number(note) }))

describe("docs/admin-api.md's examples", () => {
  let world: BrokerWorld
  let policy = ''

  beforeAll(async () => {
    world = await createBrokerWorld()
    world.route('https://oauth2.googleapis.com/revoke', () => jsonAnswer({}))
    const { pkcs8 } = await createRsaKeyPem()
    const secret = {
      type: 'service_account',
      client_email: 'reports@acme.iam.gserviceaccount.com',
      private_key_id: 'k1',
      private_key: pkcs8,
    }
    await world.call('POST /v1/admin/credentials', { as: 'ops', body: { name: 'reports-sa', secret } })
    policy = String(await policyInForce(world))
  })

  // In the order in which they stand: each begins where the one before it left things.
  test.each(examples)('$line is answered $status, as the OpenAPI document says', async (example) => {
    const { line, headers, body, status } = example
    const sent = body === undefined ? {} : { body: body.replace(/^POLICY$/m, policy) }
    const answer = await world.call(line, { as: 'ops', headers, ...sent })
    const text = await answer.text()
    const judged = { line, status: answer.status, contentType: answer.headers.get('content-type'), text }
    expect({ status: answer.status, text }).toMatchObject({ status })
    expect(judgeByOpenApi(judged)).toEqual([])
  })

  test('are of every route there is', () => {
    const patterns = Object.values(adminRoutes).map(({ at }) => at)
    const shown = examples.map(({ line }) => line.replace(/\?.*/, ''))
    const without = patterns.filter((at) => !shown.some((line) => patternOf(at).test(line)))
    expect(without).toEqual([])
    expect(examples.length).toBeGreaterThanOrEqual(patterns.length)
  })
})

/** The first line, the headers up to an empty line, and the body. */
function parseExample(text: string) {
  const [head = '', ...rest] = text.split('\n\n')
  const [line = '', ...fields] = head.trim().split('\n')
  const headers = Object.fromEntries(
    fields.map((field): [string, string] => {
      const colon = field.indexOf(':')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
    }),
  )
  const body = rest.join('\n\n')
  return { line, headers, ...(body === '' ? {} : { body }) }
}

function patternOf(at: string): RegExp {
  return new RegExp(`^${at.replaceAll('.', String.raw`\.`).replaceAll(/\{\w+\}/g, '[^/:]+')}$`)
}

async function policyInForce(world: BrokerWorld): Promise<unknown> {
  const answer = await world.call('GET /v1/admin/policy', { as: 'ops' })
  const document: unknown = await answer.json()
  return document !== null && typeof document === 'object' && 'document' in document
    ? document.document
    : undefined
}
