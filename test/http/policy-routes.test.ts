import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { call, unusedPolicy } from '../support/call-admin.ts'
import { summary, taskQueueWarning } from '../support/fake-modules.ts'
import { createFakeHttpLayer, type FakeHttpLayer } from '../support/http-layer.ts'

describe('policy', () => {
  const put = (fake: FakeHttpLayer, body: string, headers: Record<string, string>) =>
    call(fake, 'PUT /v1/admin/policy', {
      as: 'admin',
      body,
      headers: { 'content-type': 'application/yaml', ...headers },
    })

  it('the document in force is shown with the entity tag that replaces it', async () => {
    const fake = createFakeHttpLayer()
    const answer = await call(fake, 'GET /v1/admin/policy', { as: 'viewer' })
    expect(answer.headers.get('etag')).toBe('"r1"')
    expect(await answer.json()).toEqual({
      revision: 'r1',
      origin: 'store version 1',
      status: 'current',
      loaded_at: '2027-01-15T08:00:00Z',
      document: 'version: 1\n',
    })
    const replaced = await put(fake, 'version: 1\nrules: []', { 'if-match': '"r1"' })
    expect([replaced.status, replaced.headers.get('etag')]).toEqual([200, '"r2"'])
  })

  it('P25: a newer document that is broken shows as a fault beside the good one', async () => {
    const fake = createFakeHttpLayer()
    const read = await call(
      createFakeHttpLayer({
        policy: {
          ...unusedPolicy(),
          read: async () => ({
            text: 't',
            revision: 'r',
            origin: 'o',
            loadedAt: summary.createdAt,
            fault: 'line 3: unknown key',
          }),
        },
      }),
      'GET /v1/admin/policy',
      { as: 'viewer' },
    )
    expect(await read.json()).toMatchObject({ status: 'stale', fault: 'line 3: unknown key', document: 't' })
    expect(fake.records).toEqual([])
  })

  it('an entity tag survives whatever signs a revision has', async () => {
    const revision = 'a "b" \\ ü % /é\n'
    const seen: unknown[] = []
    const fake = createFakeHttpLayer({
      policy: {
        ...unusedPolicy(),
        read: async () => ({ text: '', revision, origin: 'o', loadedAt: summary.createdAt }),
        apply: async ({ ifMatch }) => {
          seen.push(ifMatch)
          return { revision, warnings: [] }
        },
      },
    })
    const etag = (await call(fake, 'GET /v1/admin/policy', { as: 'viewer' })).headers.get('etag') ?? ''
    await put(fake, 'x', { 'if-match': etag })
    expect(seen).toEqual([revision])
  })

  it('a policy is not replaced by somebody who saw another one, or none', async () => {
    const fake = createFakeHttpLayer()
    expect((await put(fake, 'version: 1', { 'if-match': '"r0"' })).status).toBe(412)
    expect((await put(fake, 'version: 1', {})).status).toBe(412)
  })

  it.each(['*', 'r1', 'W/"r1"', '"r1", "r2"', '"%"', '""x'])('If-Match: %s is malformed', async (tag) => {
    expect((await put(createFakeHttpLayer(), 'version: 1', { 'if-match': tag })).status).toBe(400)
  })

  it('what a policy should probably not say is told with its place, when it is validated and when it is applied', async () => {
    const fake = createFakeHttpLayer()
    const body = 'version: 1\n# taskqueue'
    const validated = await call(fake, 'POST /v1/admin/policy:validate', {
      as: 'viewer',
      body,
      headers: { 'content-type': 'application/yaml' },
    })
    const applied = await put(fake, body, { 'if-match': '"r1"' })

    expect(await validated.json()).toEqual({ valid: true, warnings: [taskQueueWarning] })
    expect(await applied.json()).toEqual({ revision: 'r2', warnings: [taskQueueWarning] })
  })

  it('a document that is not valid is 422 and says where', async () => {
    const fake = createFakeHttpLayer()
    for (const line of ['POST /v1/admin/policy:validate', 'PUT /v1/admin/policy']) {
      const answer = await call(fake, line, {
        as: 'admin',
        body: 'rules: []',
        headers: { 'if-match': '"r1"' },
      })
      expect(answer.status).toBe(422)
      expect(await answer.json()).toMatchObject({
        code: 'document_invalid',
        detail: 'line 1: "version" is missing',
      })
    }
  })

  it('a policy that does not live in the store is not replaced here', async () => {
    const apply = () => Promise.reject(new BrokerError('not_supported', { reason: 'it is a file' }))
    const fake = createFakeHttpLayer({ policy: { ...unusedPolicy(), apply } })
    expect((await put(fake, 'version: 1', {})).status).toBe(409)
  })

  it('only YAML and JSON are policies', async () => {
    for (const type of [
      'application/yaml',
      'application/json; charset=utf-8',
      'text/yaml',
      'application/x-yaml',
    ])
      expect(
        (await put(createFakeHttpLayer(), 'version: 1', { 'if-match': '"r1"', 'content-type': type })).status,
      ).toBe(200)
    expect((await put(createFakeHttpLayer(), 'version: 1', { 'content-type': 'text/html' })).status).toBe(400)
  })
})
