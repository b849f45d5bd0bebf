import { createServer } from 'node:http'
import { Storage } from '@google-cloud/storage'
import { GoogleAuth } from 'google-auth-library'
import { beforeAll, describe, expect, test } from 'vitest'
import { DownscopeAuthClient } from '../../src/client/google-auth.ts'
import { serveOnLoopback, type LoopbackServer } from '../support/clients/loopback-server.ts'
import { looksLikeJwt, startFakeBroker, token, type FakeBroker } from '../support/fake-broker.ts'

let broker: FakeBroker
let api: LoopbackServer
const seen: (string | undefined)[] = []

beforeAll(async () => {
  broker = await startFakeBroker()
  api = await serveOnLoopback(
    createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.setHeader('content-type', 'application/json')
      response.end('{"kind":"storage#objects","items":[{"name":"today.txt","bucket":"b"}]}')
    }),
  )
  return async () => {
    await api.close()
    await broker.close()
  }
})

function createClient(): DownscopeAuthClient {
  return new DownscopeAuthClient({ url: broker.url, credential: 'reports', proof: () => looksLikeJwt() })
}

describe('DownscopeAuthClient', () => {
  test('is taken by GoogleAuth, and adds a token of the broker to its requests', async () => {
    const auth = new GoogleAuth({ authClient: createClient(), projectId: 'acme' })
    const { data } = await auth.request<{ kind: string }>({ url: `${api.url}/x` })

    expect(data.kind).toBe('storage#objects')
    expect(seen.at(-1)).toMatch(/^Bearer token-\d+$/)
    expect((await auth.getRequestHeaders()).get('authorization')).toBe(seen.at(-1))
  })

  test('is taken by the Cloud Storage client', async () => {
    const storage = new Storage({
      authClient: createClient(),
      projectId: 'acme',
      apiEndpoint: api.url,
      useAuthWithCustomEndpoint: true,
    })
    const [files] = await storage.bucket('b').getFiles()

    expect(files.map(({ name }) => name)).toEqual(['today.txt'])
    expect(seen.at(-1)).toMatch(/^Bearer token-\d+$/)
  })

  test('gives ID tokens, for one audience each', async () => {
    broker.answerWith = () => token('an.id.token')
    expect(await createClient().fetchIdToken('https://run.example')).toBe('an.id.token')
    expect(broker.asked.at(-1)?.get('resource')).toBe('https://run.example')
  })
})
