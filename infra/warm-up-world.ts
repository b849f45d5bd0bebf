import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a broker that is warmed up talks to: so much of Firestore's REST API and of a token endpoint as it needs. */
export interface WarmUpWorld {
  /** Host and port. */
  readonly host: string
  close(): void
}

interface Found {
  readonly name: string
  readonly fields: unknown
  readonly updateTime: string
}

interface Commit {
  readonly writes: readonly [
    {
      readonly update: Pick<Found, 'name' | 'fields'>
      readonly currentDocument?: { readonly exists?: boolean }
    },
  ]
}

export async function startWarmUpWorld(): Promise<WarmUpWorld> {
  const documents = new Map<string, Found>()
  let writes = 0

  const commit = ({ writes: [{ update, currentDocument }] }: Commit): object => {
    if (currentDocument?.exists === false && documents.has(update.name))
      return { error: { code: 409, status: 'ALREADY_EXISTS', message: 'it is there' } }
    writes += 1
    const updateTime = `2026-01-01T00:00:00.${String(writes).padStart(6, '0')}Z`
    documents.set(update.name, { ...update, updateTime })
    return { writeResults: [{ updateTime }], commitTime: updateTime }
  }
  const answer = (path: string, text: string): object => {
    if (path === '/token') return { access_token: 'warm-up', token_type: 'Bearer', expires_in: 3600 }
    if (path.endsWith(':commit')) return commit(JSON.parse(text) as Commit)
    if (!path.endsWith(':batchGet')) return []
    const [name = ''] = (JSON.parse(text) as { readonly documents: readonly string[] }).documents
    const found = documents.get(name)
    return [found === undefined ? { missing: name } : { found }]
  }

  const server = createServer((request, response) => {
    void textOf(request).then((text) => {
      const body = answer(request.url ?? '', text)
      response.writeHead('error' in body ? 409 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { host: `127.0.0.1:${port}`, close: () => server.close() }
}

/** A service-account key of nobody, in Google's own form. */
export function createAccount(): object {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    type: 'service_account',
    project_id: 'warm-up',
    private_key_id: 'one',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: 'warm-up@warm-up.iam.gserviceaccount.com',
    client_id: '1',
    token_uri: 'https://oauth2.googleapis.com/token',
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk)
  return text
}
