import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listenOnLoopback } from './listen.ts'
import { readWebhook, type ReceivedWebhook } from './webhook-verifier.ts'

export interface WebhookReceiver {
  readonly url: string
  /** What came and was right, in order; of the others the fault. */
  readonly received: readonly ReceivedWebhook[]
  readonly faults: readonly unknown[]
  /** Resolves when so many came. */
  readonly came: (count: number) => Promise<void>
  /** How what comes next is answered; it may never be. */
  answer: (response: ServerResponse) => void
  readonly close: () => Promise<void>
}

/** A strict receiver on loopback, which answers 204 unless it is told otherwise, and 400 to what is wrong. */
export async function startWebhookReceiver(path = '/hook'): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = []
  const faults: unknown[] = []
  let waiting: { readonly count: number; readonly wake: () => void }[] = []
  const read = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    try {
      if (request.url !== path) throw new Error(`asked for ${request.url}`)
      received.push(await readWebhook({ method: request.method, headers: request.headers, body }))
      receiver.answer(response)
    } catch (error) {
      faults.push(error)
      response.writeHead(400).end()
    }
    for (const { count, wake } of waiting) if (received.length >= count) wake()
    waiting = waiting.filter(({ count }) => received.length < count)
  }
  const server = createServer((request, response) => void read(request, response))
  const port = await listenOnLoopback(server)
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${port}${path}`,
    received,
    faults,
    came: async (count) => {
      if (received.length < count) await new Promise<void>((wake) => waiting.push({ count, wake }))
    },
    answer: (response) => response.writeHead(204).end(),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}
