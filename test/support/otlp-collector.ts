import { createServer, type RequestListener } from 'node:http'
import * as z from 'zod/mini'
import { listenOnLoopback } from './listen.ts'
import { until } from './test-broker/until.ts'

/** What stands for a collector in tests: it takes OTLP/JSON, and answers as it is told to. */
export interface OtlpCollector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string
  /** Everything that came to `/v1/traces`, or to `/v1/metrics`, as text. */
  readonly bodies: (signal: 'traces' | 'metrics') => readonly string[]
  /** The value of a header of all that came. */
  readonly headers: (name: string) => ReadonlySet<string | readonly string[] | undefined>
  readonly spans: () => readonly Span[]
  /** The server span of one request, once it has come, and all others of its trace. */
  readonly traceOf: (requestId: string) => Promise<readonly [Span, readonly Span[]]>
  /** Answers otherwise from now on; `undefined`: properly. */
  readonly behave: (listener: RequestListener | undefined) => void
  readonly close: () => void
}

const attributes = z.array(
  z.object({
    key: z.string(),
    value: z.object({
      stringValue: z.optional(z.string()),
      intValue: z.optional(z.union([z.number(), z.string()])),
      boolValue: z.optional(z.boolean()),
    }),
  }),
)
const batch = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.optional(z.string()),
              name: z.string(),
              kind: z.number(),
              // A collector leaves out what is empty.
              attributes: z._default(attributes, []),
            }),
          ),
        }),
      ),
    }),
  ),
})

type Sent = z.infer<typeof batch>['resourceSpans'][number]['scopeSpans'][number]['spans'][number]

export interface Span extends Sent {
  /** `service.instance.id` of whoever sent it. */
  readonly instance: unknown
}

export function attribute(
  { attributes: all }: Pick<Sent, 'attributes'>,
  key: string,
): string | number | boolean | undefined {
  const value = all.find((one) => one.key === key)?.value
  return value?.stringValue ?? value?.intValue ?? value?.boolValue
}

export async function startOtlpCollector(): Promise<OtlpCollector> {
  const received: { readonly path: string; readonly text: string }[] = []
  const heads: Readonly<Record<string, string | string[] | undefined>>[] = []
  let behaviour: RequestListener | undefined
  const server = createServer((incoming, outgoing) => {
    if (behaviour !== undefined) {
      behaviour(incoming, outgoing)
      return
    }
    let text = ''
    incoming.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    incoming.on('end', () => {
      received.push({ path: incoming.url ?? '', text })
      heads.push(incoming.headers)
      outgoing.setHeader('content-type', 'application/json')
      outgoing.end('{}')
    })
  })
  const port = await listenOnLoopback(server)
  const bodies = (signal: string) =>
    received.filter(({ path }) => path === `/v1/${signal}`).map(({ text }) => text)
  const spans = (): readonly Span[] => bodies('traces').flatMap(spansIn)
  return {
    url: `http://127.0.0.1:${port}`,
    bodies,
    headers: (name) => new Set(heads.map((head) => head[name])),
    spans,
    traceOf: async (requestId) => {
      const found = await until(`the trace of ${requestId}`, () =>
        spans().find((span) => attribute(span, 'downscope.request_id') === requestId),
      )
      return [
        found,
        spans().filter(({ traceId, spanId }) => traceId === found.traceId && spanId !== found.spanId),
      ]
    },
    behave: (listener) => {
      behaviour = listener
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function spansIn(body: string): readonly Span[] {
  return batch.parse(JSON.parse(body)).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const instance = attribute(resource, 'service.instance.id')
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, instance })))
  })
}
