import { env } from 'cloudflare:workers'
import { createDurableObjectStore } from '../../../src/adapters/durable-object/durable-object-store.ts'
import { describeDocumentStore } from '../document-store-contract.ts'

let opened = 0

describeDocumentStore('durable object', ({ clock }) => {
  const name = `contract-${(opened += 1)}`
  const store = createDurableObjectStore({ connect: () => env.DOCUMENTS.getByName(name), clock })
  return { store, close: () => {} }
})
