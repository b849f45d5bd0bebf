import { describe, expect, test } from 'vitest'
import {
  createDocumentsAnswers,
  type DocumentsRpc,
  createDurableObjectStore,
} from '../../../src/adapters/durable-object/durable-object-store.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

/** An object with one document in it, whose every call is a call of `work`. */
function createObject(work: () => Promise<unknown>): DocumentsRpc {
  const call = async (): Promise<never> => {
    await work()
    throw new Error('there is no answer')
  }
  return { get: call, put: call, delete: call, list: call }
}

const calls = {
  get: (store: ReturnType<typeof createDurableObjectStore>) => store.get('things/one'),
  put: (store: ReturnType<typeof createDurableObjectStore>) => store.put('things/one', {}),
  delete: (store: ReturnType<typeof createDurableObjectStore>) => store.delete('things/one'),
  list: (store: ReturnType<typeof createDurableObjectStore>) => store.list({ prefix: 'things/', limit: 1 }),
}

describe.each(Object.entries(calls))('%s of a Durable Object', (_, call) => {
  test('that breaks off is store_unavailable', async () => {
    const object = createObject(() => Promise.reject(new Error('Network connection lost.')))
    const store = createDurableObjectStore({ connect: () => object, clock: createFakeClock() })

    await expect(call(store)).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: 'the Durable Object of the store could not be reached, or broke off',
      retryAfter: 1,
    })
  })

  test('that is overloaded says so', async () => {
    const overloaded = Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true })
    const object = createObject(() => Promise.reject(overloaded))
    const store = createDurableObjectStore({ connect: () => object, clock: createFakeClock() })

    await expect(call(store)).rejects.toThrow(/is overloaded$/)
  })

  test('that gives no answer is store_unavailable after 3 s', async () => {
    const clock = createFakeClock()
    const object = createObject(() => new Promise(() => {}))
    const store = createDurableObjectStore({ connect: () => object, clock })

    const asked = call(store).catch((error: unknown) => error)
    await clock.advance(3_000)

    expect(await asked).toMatchObject({
      code: 'store_unavailable',
      reason: 'the Durable Object of the store gave no answer within 3000 ms',
    })
  })

  test('whose namespace is not bound is store_unavailable', async () => {
    const connect = (): never => {
      throw new TypeError("Cannot read properties of undefined (reading 'getByName')")
    }
    const store = createDurableObjectStore({ connect, clock: createFakeClock() })

    await expect(call(store)).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  test('whose SQLite fails is store_unavailable with the reason it gave', async () => {
    const fail = (): never => {
      throw new BrokerError('store_unavailable', { reason: "the object's SQLite answered SQLITE_FULL" })
    }
    const object = createDocumentsAnswers({ exec: fail, change: fail })
    const store = createDurableObjectStore({ connect: () => object, clock: createFakeClock() })

    await expect(call(store)).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: "the Durable Object of the store failed: the object's SQLite answered SQLITE_FULL",
    })
  })
})

test('each call has a way of its own to the object', async () => {
  let connections = 0
  const object = createDocumentsAnswers({ exec: () => [], change: () => 1 })
  const connect = (): DocumentsRpc => {
    connections += 1
    return object
  }
  const store = createDurableObjectStore({ connect, clock: createFakeClock() })

  await Promise.all(Object.values(calls).map((call) => call(store)))

  expect(connections).toBe(4)
})
