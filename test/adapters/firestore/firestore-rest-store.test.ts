import { beforeAll, describe, expect, inject, test } from 'vitest'
import { createFirestoreRestStore } from '../../../src/adapters/firestore/rest/firestore-rest-store.ts'
import { documentVersion } from '../../../src/adapters/documents.ts'
import { createHttpClient } from '../../../src/adapters/system/fetch-http-client.ts'
import { createSystemClock, createEntropy } from '../../../src/adapters/system/clock-and-entropy.ts'
import { Secret } from '../../../src/domain/secret.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { DocumentStore } from '../../../src/ports/document-store.ts'
import type { HttpClient, HttpRequest, HttpResult } from '../../../src/ports/http-client.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { createSequence } from '../../support/sequence.ts'
import { createSkippingClock } from '../../support/skipping-clock.ts'
import { awaitSignOfLife, patientMs } from '../../support/sign-of-life.ts'
import { describeDocumentStore } from '../document-store-contract.ts'
import { describeFirestoreLayout } from './layout-contract.ts'

const emulatorHost = inject('firestoreEmulatorHost')
const containing = (text: string): unknown => expect.stringContaining(text)
const token = 'ya29.the-token-of-the-broker'

describe.skipIf(emulatorHost === undefined)('with the emulator (skipped where there is none)', () => {
  // The first call of a run starts Java.
  beforeAll(async () => {
    await awaitSignOfLife(openOnEmulator({ clock: createFakeClock() }))
  })

  describeDocumentStore('firestore/rest', ({ clock }) => ({
    store: openOnEmulator({ clock }),
    close: () => undefined,
  }))

  describeFirestoreLayout(openOnEmulator)

  test('documents too large for one answer are listed all the same, in order', async () => {
    const store = openOnEmulator()
    const text = 'x'.repeat(800_000)
    const keys = ['things/a', 'things/b', 'things/c', 'things/d', 'things/e']
    for (const key of keys) await store.put(key, { text })

    const listed = await store.list({ prefix: 'things/', limit: 100 })

    expect(listed.map(({ key }) => key)).toStrictEqual(keys)
    expect(listed.every(({ value }) => value['text'] === text)).toBe(true)
  })
})

describe('without the emulator', () => {
  test('the address is of this project and database, and each call carries the token', async () => {
    const { store, requests } = openAgainst(() => json([{ missing: nameOf('things/one') }]))

    expect(await store.get('things/one')).toBeUndefined()

    expect(requests).toStrictEqual([
      {
        method: 'POST',
        url: 'https://firestore.googleapis.com/v1/projects/acme-tokens/databases/downscope/documents:batchGet',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body: JSON.stringify({ documents: [nameOf('things/one')] }),
        timeoutMs: 2000,
        maxBytes: 6 * 1024 * 1024,
      },
    ])
  })

  test('a page has 2 MiB at most, and one document as much as Firestore may send', async () => {
    const { store, requests } = openAgainst(() => failure('too_large'))
    await expect(store.list({ prefix: 'things/', limit: 100 })).rejects.toThrow()

    const bounds = requests.map(({ body, maxBytes }) => [/"limit":(\d+)/.exec(String(body))?.[1], maxBytes])
    expect(bounds).toContainEqual(['100', 2 * 1024 * 1024])
    expect(bounds.at(-1)).toEqual(['1', 6 * 1024 * 1024])
  })

  test.each(['..', 'a/b', '', 'a?b', 'a#b', 'a%2fb', '../../v2/projects/x'])(
    'what names no project or database is a TypeError: %j',
    (name) => {
      const deps = { emulatorHost: 'x', http: refuseAll, clock: createFakeClock(), entropy: createEntropy() }

      expect(() => createFirestoreRestStore({ ...deps, projectId: name })).toThrow(TypeError)
      expect(() => createFirestoreRestStore({ ...deps, projectId: 'p', databaseId: name })).toThrow(TypeError)
      expect(() => createFirestoreRestStore({ ...deps, projectId: 'acme.com:p' })).not.toThrow()
    },
  )

  test.each([
    [403, 'PERMISSION_DENIED', 'Missing or insufficient permissions.', 'our identity lacks permission'],
    [
      404,
      'NOT_FOUND',
      'The database downscope does not exist for project acme-tokens',
      'the project or database does not exist',
    ],
    [
      400,
      'FAILED_PRECONDITION',
      'The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/acme-tokens',
      'the database is not in a state to do this',
    ],
  ])('a refusal %i is an error of every method, asked once, and no failed condition', async (...row) => {
    const [status, name, message, meaning] = row
    const { store, requests } = openAgainst(() => googleError(status, name, message))

    for (const result of await callEverything(store))
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'store_unavailable', reason: containing(`Firestore: ${meaning} (${name}: `) },
      })
    expect(requests).toHaveLength(6)
  })

  test.each([
    ['an error page', { status: 404, body: '<html>not here</html>' }],
    ['an empty answer', { status: 200, body: '' }],
    ['an object', { status: 200, body: '{}' }],
    ['an empty list', { status: 200, body: '[]' }],
    ['a list of something else', { status: 200, body: '[7]' }],
    ['half an answer', { status: 200, body: '[{"missing":"' }],
    ['another document', { status: 200, body: JSON.stringify([{ missing: nameOf('things/two') }]) }],
  ])('%s instead of a document never reads as absent', async (_, answer) => {
    const { store } = openAgainst(() => answerOf(answer.status, answer.body))

    const unusable = { code: 'store_unavailable', reason: containing('Firestore: its answer is unusable (') }
    await expect(store.get('things/one')).rejects.toMatchObject(unusable)
  })

  test.each([
    [401, 'it does not accept our credentials', 1],
    [403, 'our identity lacks permission', 1],
    [429, 'a quota is exhausted', 3],
    [500, 'it failed inside', 3],
    [502, 'it cannot be reached', 3],
    [503, 'it cannot be reached', 3],
    [504, 'it did not answer in time', 3],
  ])('an answer %i of what stands between is judged by its number', async (status, meaning, asked) => {
    const { store, requests } = openAgainst(() => answerOf(status, '<html>'))

    await expect(store.get('things/one')).rejects.toMatchObject({
      reason: containing(`Firestore: ${meaning} (`),
    })
    expect(requests).toHaveLength(asked)
  })

  test.each(['[]', '{}', '[7]', ''])('%j instead of a list never reads as no documents', async (body) => {
    const { store } = openAgainst(() => answerOf(200, body))

    await expect(store.list({ prefix: 'things/', limit: 5 })).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: containing('Firestore: its answer is unusable ('),
    })
  })

  test('an error at the end of a list that began well is an error', async () => {
    const broken = { error: { code: 500, message: 'broken off', status: 'INTERNAL' } }
    const { store } = openAgainst(() => json([{ readTime: 'now' }, broken]))

    await expect(store.list({ prefix: 'things/', limit: 5 })).rejects.toMatchObject({
      reason: 'Firestore: it failed inside (INTERNAL: broken off)',
    })
  })

  test('P21: a read waits as long as a 429 asks, within the deadline, and is sent again', async () => {
    const answers = [googleError(429, 'RESOURCE_EXHAUSTED', 'slowly', '1')]
    const { store, clock, requests } = openAgainst(
      () => answers.shift() ?? json([{ missing: nameOf('things/one') }]),
    )

    expect(await store.get('things/one')).toBeUndefined()

    expect(requests).toHaveLength(2)
    expect(clock.slept).toStrictEqual([1050])
  })

  test('P21: a wait that does not fit into the deadline is passed on instead', async () => {
    const { store, clock, requests } = openAgainst(() => googleError(429, 'RESOURCE_EXHAUSTED', 'no', '30'))

    for (const result of await callEverything(store))
      expect(result).toMatchObject({ reason: { code: 'store_unavailable', retryAfter: 30 } })

    expect(requests).toHaveLength(6)
    expect(clock.slept).toStrictEqual([])
  })

  test('P21: a read is sent three times at most, with growing jitter', async () => {
    const { store, clock, requests } = openAgainst(() => googleError(503, 'UNAVAILABLE', 'later'))

    await expect(store.get('things/one')).rejects.toMatchObject({
      reason: 'Firestore: it cannot be reached (UNAVAILABLE: later)',
    })

    expect(requests).toHaveLength(3)
    expect(clock.slept).toStrictEqual([50, 100])
  })

  test.each([
    ['a broken connection', failure('network')],
    ['silence', failure('timeout')],
    ['an over-long answer', failure('too_large')],
    ['a redirect', failure('redirect')],
    ['503', googleError(503, 'UNAVAILABLE', 'later')],
    ['500', googleError(500, 'INTERNAL', 'broken')],
    ['a page of a proxy', answerOf(502, '<html>')],
    ['a success without a version', json({ writeResults: [{}] })],
  ])('a commit with unknown outcome is never sent again: %s', async (_, trouble) => {
    const { store, requests } = openAgainst((request) =>
      isCommit(request) ? trouble : json([{ missing: nameOf('things/one') }]),
    )

    await expect(store.put('things/one', {})).rejects.toMatchObject({ code: 'store_unavailable' })

    expect(requests.map(methodOf)).toStrictEqual(['commit', 'batchGet'])
  })

  test('P6: a commit with unknown outcome that is found by its nonce was written', async () => {
    const { store } = openAgainst((request) => {
      if (isCommit(request)) return failure('network')
      const fields = {
        json: { stringValue: '{}' },
        // The first that this entropy gives.
        nonce: { stringValue: '00000000-0000-4000-8000-000000000001' },
      }
      return json([{ found: { name: nameOf('things/one'), fields, updateTime: '2026-11-21T02:16:00.1Z' } }])
    })

    expect(await store.put('things/one', {}, { if: 'absent' })).toBe('2026-11-21T02:16:00.100000Z')
  })

  test('a commit that certainly was not done is sent again, with the same nonce', async () => {
    const answers = [googleError(409, 'ABORTED', 'contention')]
    const written = { writeResults: [{ updateTime: '2026-11-21T02:16:00.123456Z' }] }
    const { store, requests } = openAgainst(() => answers.shift() ?? json(written))

    expect(await store.put('things/one', {})).toBe('2026-11-21T02:16:00.123456Z')

    expect(requests).toHaveLength(2)
    expect(requests[0]?.body).toBe(requests[1]?.body)
  })

  test('a token that Firestore refuses is replaced once, and the call is sent again', async () => {
    const answers = [googleError(401, 'UNAUTHENTICATED', 'who are you')]
    const { store, requests } = openAgainst(
      () => answers.shift() ?? json([{ missing: nameOf('things/one') }]),
      async (refused) => new Secret(refused === undefined ? token : 'the-next-token'),
    )

    expect(await store.get('things/one')).toBeUndefined()

    expect(requests.map(({ headers }) => headers?.['authorization'])).toStrictEqual([
      `Bearer ${token}`,
      'Bearer the-next-token',
    ])
  })

  test('a refused token without a successor is an error that says so', async () => {
    const { store, requests } = openAgainst(() => googleError(401, 'UNAUTHENTICATED', 'who are you'))

    await expect(store.get('things/one')).rejects.toMatchObject({
      reason: 'Firestore: it does not accept our credentials (UNAUTHENTICATED: who are you)',
    })
    expect(requests).toHaveLength(1)
  })

  test('P23: no error shows the token, not even when an error page quotes the request', async () => {
    const echo = (status: number) => (request: HttpRequest) =>
      googleError(status, 'INTERNAL', `you sent ${JSON.stringify(request.headers)}`)

    for (const status of [400, 401, 403, 404, 500]) {
      for (const result of await callEverything(openAgainst(echo(status)).store)) {
        if (result.status === 'fulfilled') throw new Error('a rejection was expected')
        const reason: unknown = result.reason
        if (!(reason instanceof Error)) throw new Error('an error was expected')
        const cause = reason.cause instanceof Error ? reason.cause.message : ''
        expect(`${reason.message}${reason.stack}${JSON.stringify(reason)}${cause}`).not.toContain(token)
        expect(cause).toContain('[cut]')
      }
    }
  })

  test('waiting for a token counts: what is left is all that the call gets', async () => {
    const clock = createSkippingClock()
    const requests: HttpRequest[] = []
    const store = createFirestoreRestStore({
      projectId: 'acme-tokens',
      databaseId: 'downscope',
      clock,
      entropy: createSequence(),
      accessToken: async () => {
        clock.skip(1900)
        return new Secret(token)
      },
      http: async (request) => {
        requests.push(request)
        clock.skip(request.timeoutMs)
        return failure('timeout')
      },
    })

    await expect(store.get('things/one')).rejects.toMatchObject({ code: 'store_unavailable' })

    expect(requests.map(({ timeoutMs }) => timeoutMs)).toStrictEqual([1100])
    expect(clock.steadyMs()).toBe(3000)
  })
})

describe('creates that travel together', () => {
  const created = (index: number) => ({ updateTime: `2026-11-21T02:16:00.00000${index}Z` })

  test('P6: go in one request, each judged by itself', async () => {
    const taken = { code: 6, message: 'Document already exists' }
    const name = 'projects/acme-tokens/databases/downscope/documents/things/b'
    const document = { name, fields: restFieldsOf('{}', 'another'), updateTime: created(9).updateTime }
    const { store, requests } = openAgainst(
      ({ url }) =>
        url.endsWith(':batchWrite')
          ? json({ writeResults: [created(0), {}, created(2)], status: [{}, taken, {}] })
          : json([{ found: document }]),
      undefined,
      true,
    )
    const versions = await Promise.all(
      ['a', 'b', 'c'].map((id) => store.put(`things/${id}`, {}, { if: 'absent' })),
    )

    expect(versions).toEqual([created(0).updateTime, undefined, created(2).updateTime])
    expect(requests.filter(({ url }) => url.endsWith(':batchWrite'))).toHaveLength(1)
    expect(requests.filter(({ url }) => url.endsWith(':commit'))).toEqual([])
  })

  test('each go alone where no request may share the work of another', async () => {
    const { store, requests } = openAgainst(() => json({ writeResults: [created(0)] }))
    await Promise.all(['a', 'b', 'c'].map((id) => store.put(`things/${id}`, {}, { if: 'absent' })))

    expect(requests.map(({ url }) => url.slice(url.lastIndexOf(':')))).toEqual(Array(3).fill(':commit'))
  })

  test('fail together where the request does, and none is sent again', async () => {
    const { store, requests } = openAgainst(() => failure('timeout'), undefined, true)
    const outcomes = await Promise.allSettled(
      ['a', 'b'].map((id) => store.put(`things/${id}`, {}, { if: 'absent' })),
    )

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(requests.filter(({ url }) => url.endsWith(':batchWrite'))).toHaveLength(1)
  })
})

function restFieldsOf(text: string, nonce: string): object {
  return { json: { stringValue: text }, nonce: { stringValue: nonce } }
}

function openOnEmulator({ clock, projectId }: { readonly clock?: Clock; readonly projectId?: string } = {}) {
  const wall = clock ?? createFakeClock()
  return createFirestoreRestStore({
    // The emulator keeps projects apart: a test of its own project starts empty.
    projectId: projectId ?? `p-${crypto.randomUUID()}`,
    emulatorHost: emulatorHost ?? '',
    deadlineMs: patientMs,
    http: createHttpClient(),
    // Time on the wire is real; expiry is the test's.
    clock: { ...createSystemClock(), now: wall.now },
    entropy: createEntropy(),
  })
}

function openAgainst(
  answer: (request: HttpRequest) => HttpResult,
  accessToken: (refused?: Secret) => Promise<Secret> = async () => new Secret(token),
  sharesWork = false,
) {
  const clock = createSkippingClock()
  const requests: HttpRequest[] = []
  const http: HttpClient = async (request) => {
    requests.push(request)
    return answer(request)
  }
  const entropy = createSequence()
  const ids = { projectId: 'acme-tokens', databaseId: 'downscope' }
  return {
    store: createFirestoreRestStore({ ...ids, clock, entropy, http, accessToken, sharesWork }),
    clock,
    requests,
  }
}

function callEverything(store: DocumentStore) {
  const version = documentVersion('2026-11-21T02:16:00.123456Z')
  return Promise.allSettled([
    store.get('things/one'),
    store.put('things/one', {}, { if: 'absent' }),
    store.put('things/one', {}, { if: { version } }),
    store.delete('things/one'),
    store.delete('things/one', { version }),
    store.list({ prefix: 'things/', limit: 5 }),
  ])
}

const refuseAll: HttpClient = async () => failure('network')

function nameOf(key: string): string {
  return `projects/acme-tokens/databases/downscope/documents/${key}`
}

function methodOf({ url }: HttpRequest): string {
  return url.slice(url.lastIndexOf(':') + 1)
}

function isCommit(request: HttpRequest): boolean {
  return methodOf(request) === 'commit'
}

function json(body: unknown): HttpResult {
  return answerOf(200, JSON.stringify(body))
}

function googleError(status: number, name: string, message: string, retryAfter?: string): HttpResult {
  return answerOf(
    status,
    JSON.stringify([{ error: { code: status, message, status: name } }]),
    retryAfter === undefined ? {} : { 'retry-after': retryAfter },
  )
}

function answerOf(status: number, body: string, headers: Readonly<Record<string, string>> = {}): HttpResult {
  return { kind: 'answer', status, header: (name) => headers[name], body }
}

function failure(cause: 'timeout' | 'network' | 'too_large' | 'redirect'): HttpResult {
  return { kind: 'failure', cause, detail: 'as the test wants it' }
}
