import { describe, expect, it } from 'vitest'
import { bodyBytesMax, readBody } from '../../src/http/parse-form.ts'
import { createFakeHttpLayer, post, tokenForm } from '../support/http-layer.ts'

interface Source {
  readonly stream: ReadableStream<Uint8Array>
  readonly sent: () => number
  readonly isCancelled: () => boolean
}

/** A body that goes on for as long as somebody pulls; its cancellation never settles. */
function endless(chunkBytes = 4_096): Source {
  let sent = 0
  let cancelled = false
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += chunkBytes
      controller.enqueue(new Uint8Array(chunkBytes).fill(97))
    },
    cancel: () => {
      cancelled = true
      return new Promise(() => undefined)
    },
  })
  return { stream, sent: () => sent, isCancelled: () => cancelled }
}

function streamOf(...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

const request = (body: ReadableStream<Uint8Array> | string, headers: Record<string, string> = {}): Request =>
  new Request('https://tokens.acme.example/', { method: 'POST', body, headers, duplex: 'half' })

const octets = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('P24: the body cap', () => {
  it('P24: a chunked body without end is cut at the cap, and its sender is told to stop', async () => {
    const source = endless()
    const { app, requests } = createFakeHttpLayer()
    const answer = await post(app, source.stream)
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
    expect(source.isCancelled()).toBe(true)
    expect(source.sent()).toBeLessThanOrEqual(bodyBytesMax + 3 * 4_096)
    expect(requests).toEqual([])
  })

  it('P24: a declared length beyond the cap is refused before a byte is read', async () => {
    const source = endless()
    const body = await readBody(request(source.stream, { 'content-length': String(bodyBytesMax + 1) }))
    expect(body).toMatchObject({ kind: 'too_large' })
    // One chunk is what a stream keeps ready unasked.
    expect(source.sent()).toBeLessThanOrEqual(4_096)
  })

  it.each([
    { 'content-length': 'ten' },
    { 'content-length': '-1' },
    { 'content-length': '1, 2' },
    { 'content-length': '10', 'transfer-encoding': 'chunked' },
  ])('P24: %j says nothing about the length, so the bytes are counted', async (headers) => {
    const source = endless()
    expect(await readBody(request(source.stream, headers))).toMatchObject({ kind: 'too_large' })
    expect(source.isCancelled()).toBe(true)
  })

  it('P24: a server that does not hold the sender to the declared length does not lift the cap', async () => {
    const body = await readBody(request('a'.repeat(bodyBytesMax + 1), { 'content-length': '10' }))
    expect(body).toMatchObject({ kind: 'too_large' })
  })

  it.each(['/v1/admin/credentials', '/v1/admin/policy:validate'])(
    'P24: the cap holds at POST %s too',
    async (path) => {
      const source = endless()
      const { app } = createFakeHttpLayer()
      const answer = await app.request(path, {
        method: 'POST',
        body: source.stream,
        headers: {
          authorization: 'Bearer admin',
          'content-type': path.endsWith('validate') ? 'application/yaml' : 'application/json',
        },
        duplex: 'half',
      })
      expect(answer.status).toBe(413)
      expect(source.isCancelled()).toBe(true)
    },
  )

  it('a body of exactly the cap is read, declared or chunked', async () => {
    const text = 'a'.repeat(bodyBytesMax)
    expect(await readBody(request(text, { 'content-length': String(bodyBytesMax) }))).toEqual({
      kind: 'text',
      text,
    })
    expect(await readBody(request(streamOf(octets(text))))).toEqual({ kind: 'text', text })
    expect(await readBody(request(streamOf(octets(text), octets('a'))))).toMatchObject({ kind: 'too_large' })
  })
})

describe('what is read', () => {
  it('a character cut by a chunk border is whole again', async () => {
    const [first = 0, ...rest] = octets('€uro')
    const body = await readBody(request(streamOf(new Uint8Array([first]), new Uint8Array(rest))))
    expect(body).toEqual({ kind: 'text', text: '€uro' })
  })

  it('no body is an empty one', async () => {
    const empty = new Request('https://tokens.acme.example/', { method: 'POST' })
    expect(await readBody(empty)).toEqual({ kind: 'text', text: '' })
  })

  it('a body that breaks off is the sender’s fault and no bug', async () => {
    const broken = () =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.error(new TypeError('connection reset')),
      })
    expect(await readBody(request(broken()))).toEqual({ kind: 'unreadable' })
    expect(await readBody(request(broken(), { 'content-length': '100' }))).toEqual({ kind: 'unreadable' })
    const { app, lines } = createFakeHttpLayer()
    expect((await post(app, broken())).status).toBe(400)
    expect(lines).toEqual([])
  })

  it('a chunked form is a form like any other', async () => {
    const { app, requests } = createFakeHttpLayer()
    const answer = await post(app, streamOf(octets(tokenForm({ scope: 'a b' }))))
    expect(answer.status).toBe(200)
    expect(requests).toMatchObject([{ scopes: ['a', 'b'] }])
  })
})
