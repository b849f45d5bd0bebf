import { lookup } from 'node:dns'
import {
  request as requestByHttp,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { request as requestByHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress } from './public-address.ts'
import { startDeadline, describeRequest, httpFailure, isRedirect, judgeTrouble } from './fetch-http-client.ts'
import type { HttpAnswer, HttpClient, HttpRequest, HttpResult } from '../../ports/http-client.ts'

/** More than one server has a use for; a storm of them would keep this process busy until the deadline. */
const informationMax = 16

/**
 * Outbound HTTP by node:http: what `fetch` gives, without the time `fetch` takes to get ready and with half its price
 * for each request. The deadline runs from the call to the body's last octet, and rejects whatever the socket does; a
 * body that grows beyond its cap, compressed or not, is dropped together with its connection.
 */
export function createNodeHttpClient(resolve: typeof lookup = lookup): HttpClient {
  return async (request) => {
    const where = describeRequest(request)
    if (where === undefined)
      return httpFailure('network', `${request.method}: the address is no http or https URL`)
    const { timeoutMs } = request
    const late = Promise.withResolvers<never>()
    let isLate = false
    const stop = startDeadline(timeoutMs, () => {
      isLate = true
      late.reject(new Error('late'))
    })
    let sent: ClientRequest | undefined
    let isUnsent = true
    try {
      sent = open(request, resolve)
      whenConnected(sent, () => {
        isUnsent = false
      })
      const result = await Promise.race([exchange(sent, request, where), late.promise])
      if (result.kind === 'failure') sent.destroy()
      return result
    } catch (error) {
      sent?.destroy()
      return judgeTrouble({ error, where, isLate, timeoutMs, isUnsent })
    } finally {
      stop()
    }
  }
}

function open(request: HttpRequest, resolve: typeof lookup): ClientRequest {
  const { method, url, headers, body } = request
  const { protocol, username, password } = new URL(url)
  // As fetch has it: the one would become a header that nobody wrote, the other means nothing.
  if (username !== '' || password !== '') throw new TypeError('a URL with a user name or password')
  if (method === 'GET' && body !== undefined) throw new TypeError('a GET with a body')
  // Answers are small: there is nothing to gain from compression, and less to inflate.
  const all = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'downscope', ...headers }
  const options = { method, headers: all, ...connectionOf(request, resolve) }
  return (protocol === 'https:' ? requestByHttps : requestByHttp)(url, options)
}

/** A webhook has a connection of its own, so that none that was opened for something else, and not judged, is used. */
function connectionOf({ url, webhook }: HttpRequest, resolve: typeof lookup): RequestOptions {
  if (webhook === undefined) return {}
  if (!webhook.mustBePublic) return { agent: false }
  // An address in the URL itself is not looked up.
  const host = new URL(url).hostname.replaceAll(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw notPublic()
  const lookupPublic: LookupFunction = (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const [first] = found ?? []
      // All of them: which one is connected to is not ours to choose.
      if (error === null && first !== undefined && found.every(({ address }) => isPublicAddress(address)))
        if (options.all === true) done(null, found)
        else done(null, first.address, first.family)
      else done(error ?? notPublic(), '', 0)
    })
  }
  return { agent: false, lookup: lookupPublic }
}

function notPublic(): Error {
  return codedError('ADDRESS_NOT_PUBLIC')
}

async function exchange(sent: ClientRequest, request: HttpRequest, where: string): Promise<HttpResult> {
  const response = await responseTo(sent, request.body)
  const { statusCode: status = 0, headers } = response
  if (status === 101) throw codedError('UPGRADE_NOT_ASKED_FOR')
  if (isRedirect(status)) return httpFailure('redirect', `${where}: answered with redirect ${status}`)
  const encodings = headers['content-encoding']
  const stream = encodings === undefined ? response : await decoded(response, encodings)
  const body = await readBody(stream, request.maxBytes)
  if (body === undefined) return httpFailure('too_large', `${where}: more than ${request.maxBytes} bytes`)
  return {
    kind: 'answer',
    status,
    header: (name) => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    body,
  } satisfies HttpAnswer
}

/** The head of the answer. Rejects for everything else that a socket may do; silence is for the deadline. */
function responseTo(sent: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let information = 0
    sent.once('response', resolve)
    // Not once: a connection may fail again while it is given up.
    sent.on('error', reject)
    sent.once('close', () => reject(codedError('CLOSED_WITHOUT_ANSWER')))
    sent.once('upgrade', (_, socket) => {
      socket.destroy()
      reject(codedError('UPGRADE_NOT_ASKED_FOR'))
    })
    sent.on('information', () => {
      information += 1
      if (information > informationMax) reject(codedError('TOO_MANY_INFORMATIONAL_ANSWERS'))
    })
    sent.end(body)
  })
}

/** Nothing is sent before TCP and TLS are there. */
function whenConnected(sent: ClientRequest, note: () => void): void {
  sent.once('socket', (socket) => {
    if (sent.reusedSocket) note()
    else socket.once(sent.protocol === 'https:' ? 'secureConnect' : 'connect', note)
  })
}

function codedError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** Decodes responses of servers that ignore `Accept-Encoding: identity`. */
async function decoded(response: IncomingMessage, encodings: string): Promise<NodeJS.ReadableStream> {
  const { pipeline } = await import('node:stream')
  const { createBrotliDecompress, createInflate, createUnzip } = await import('node:zlib')
  const decoderOf = (encoding: string) => {
    if (encoding === 'br') return createBrotliDecompress()
    if (encoding === 'deflate') return createInflate()
    if (encoding === 'gzip' || encoding === 'x-gzip') return createUnzip()
    throw new TypeError('an unknown content encoding')
  }
  // RFC 9110 §8.4: in the order in which they were applied.
  const names = encodings
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  const decoders = names.toReversed().map(decoderOf)
  const last = decoders.at(-1)
  if (last === undefined) return response
  // What fails on the way ends the last stream, whose reader is told.
  pipeline([response, ...decoders], () => undefined)
  return last
}

/** The whole body, or `undefined` as soon as it has more than `maxBytes`. */
function readBody(stream: NodeJS.ReadableStream, maxBytes: number): Promise<string | undefined> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length
      if (bytes > maxBytes) resolve(undefined)
      else text += decoder.decode(chunk, { stream: true })
    })
    stream.once('end', () => resolve(text + decoder.decode()))
    stream.on('error', reject)
    stream.once('close', () => reject(codedError('CLOSED_WITHIN_ANSWER')))
  })
}
