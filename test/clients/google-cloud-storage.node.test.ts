import { Storage } from '@google-cloud/storage'
import { IdentityPoolClient } from 'google-auth-library'
import { beforeAll, expect, test } from 'vitest'
import { createClientWorld, reading, writing, type ClientWorld } from '../support/clients/client-world.ts'
import { externalAccount } from '../support/clients/external-account.ts'
import type { LoopbackServer } from '../support/clients/loopback-server.ts'
import { bucket, object, startStorageApi } from '../support/clients/storage-api.ts'

let world: ClientWorld
let api: LoopbackServer
let tokenFile: string

beforeAll(async () => {
  world = await createClientWorld()
  api = await startStorageApi(world.google)
  tokenFile = world.write('workload.jwt', await world.subjectToken())
  return async () => {
    await api.close()
    await world.close()
  }
}, 60_000)

test('@google-cloud/storage reads with a token that carries devstorage.read_only alone', async () => {
  const heard = world.proxy.listen()
  const { file } = reader()
  const [[content], [files]] = await Promise.all([file.download(), file.bucket.getFiles()])

  expect(content.toString()).toBe(object.text)
  expect(files.map(({ name }) => name)).toEqual([object.name])
  expect(heard().map(({ form }) => form.get('scope'))).toEqual([reading])
})

test('P13: @google-cloud/storage cannot write with that token', async () => {
  await expect(reader().file.save('all is lost', { resumable: false })).rejects.toMatchObject({ code: 403 })
})

test('P13: with its own broad scopes @google-cloud/storage gets those of them that the rule allows, by drop', async () => {
  const heard = world.proxy.listen()
  const { file } = storage({ keyFilename: accountFile('lenient') })

  expect((await file.download()).toString()).toBe(object.text)
  expect(heard().map(({ form }) => form.get('scope')?.split(' '))).toEqual([
    ['iam', 'cloud-platform', 'devstorage.full_control'].map(
      (name) => `https://www.googleapis.com/auth/${name}`,
    ),
  ])
  expect(world.google.tokens().at(-1)?.scopes).toEqual([writing])
})

test('P13: with its own broad scopes @google-cloud/storage is refused where the rule says refuse, and says so', async () => {
  const { file } = storage({ keyFilename: accountFile('reports') })

  await expect(file.download()).rejects.toThrow('Error code invalid_scope: the scope is malformed or more')
})

function reader() {
  const account = externalAccount(world, 'reports', { file: tokenFile })
  return storage({ authClient: new IdentityPoolClient({ ...account, scopes: [reading] }) })
}

function storage(options: { readonly keyFilename: string } | { readonly authClient: IdentityPoolClient }) {
  const client = new Storage({
    ...options,
    projectId: 'acme',
    apiEndpoint: api.url,
    useAuthWithCustomEndpoint: true,
    retryOptions: { autoRetry: false },
  })
  return { file: client.bucket(bucket).file(object.name) }
}

function accountFile(credential: string): string {
  const account = externalAccount(world, credential, { file: tokenFile })
  return world.write(`${credential}.json`, JSON.stringify(account))
}
