import type * as FirestoreSdk from '@google-cloud/firestore'
import type { Firestore, Settings } from '@google-cloud/firestore'
import { firestoreError, statusOfNumber, statusOfName, type Status } from '../status.ts'
import { AsyncLocalStorage } from 'node:async_hooks'
import { isBrokerError, type BrokerError } from '../../../domain/broker-error.ts'

export interface SdkClient {
  readonly sdk: typeof FirestoreSdk
  readonly firestore: Firestore
  /**
   * Many writes in one request, each judged by itself. By the generated client and a connection of its own: the
   * SDK's way costs three times as much for each write, and takes 20 at most.
   */
  readonly batchWrite: (writes: Write[]) => Promise<Written>
}

/** As Firestore's API has it. */
export interface Write {
  readonly update: { readonly name: string; readonly fields: Readonly<Record<string, object>> }
  readonly currentDocument: { readonly exists: boolean }
}

/** For each write, in their order: a code other than 0, or when it was done. */
export interface Written {
  readonly status?: readonly { readonly code?: number | null; readonly message?: string | null }[] | null
  readonly writeResults?: readonly { readonly updateTime?: ApiTime | null }[] | null
}

interface ApiTime {
  readonly seconds?: unknown
  readonly nanos?: number | null
}

export interface SdkClientOptions {
  readonly projectId: string
  readonly databaseId: string
  /** `HOST:PORT` of an emulator, spoken to without TLS and without credentials. */
  readonly emulatorHost?: string
  readonly transformCall: CallDeadlines['transformCall']
}

export interface LazySdkClient {
  /** Loads the SDK at the first call (0.3 s of CPU), the same client ever after. */
  readonly open: () => Promise<SdkClient>
  /** Refuses from now on, and ends the connections when `settled` resolves. */
  readonly close: (settled: () => Promise<void>) => Promise<void>
}

/** The SDK's client when it is first needed; nothing of it is loaded before. */
export function createLazySdkClient(options: SdkClientOptions): LazySdkClient {
  let opened: Promise<EndingSdkClient> | undefined
  let isClosed = false
  return {
    open: async () => {
      if (isClosed) throw firestoreError(undefined, new Error('the store is closed'))
      opened ??= openClient(options)
      return await opened
    },
    close: async (settled) => {
      isClosed = true
      await settled()
      await opened?.then(
        ({ end }) => end(),
        () => undefined,
      )
    },
  }
}

interface EndingSdkClient extends SdkClient {
  readonly end: () => Promise<unknown>
}

async function openClient({
  projectId,
  databaseId,
  emulatorHost,
  transformCall,
}: SdkClientOptions): Promise<EndingSdkClient> {
  const sdk = await import('@google-cloud/firestore')
  const settings: Settings = {
    'grpc.callInvocationTransformer': transformCall,
    // Without it every failed read, refused ones too, is repeated after 3 s and after 8 s (retry-request).
    gaxServerStreamingRetries: true,
  }
  const emulator = emulatorHost === undefined ? undefined : await emulatorSettings(emulatorHost)
  const firestore = new sdk.Firestore({ ...settings, ...emulator?.sdk, projectId, databaseId })
  const { FirestoreClient } = await import('@google-cloud/firestore-api')
  const api = new FirestoreClient({ ...settings, ...emulator?.api })
  const database = `projects/${projectId}/databases/${databaseId}`
  const headers = { 'google-cloud-resource-prefix': database, ...emulator?.headers }
  return {
    sdk,
    firestore,
    batchWrite: async (writes) => {
      const [written] = await api.batchWrite({ database, writes }, { otherArgs: { headers } })
      return written
    },
    end: () => Promise.all([firestore.terminate(), api.close()]),
  }
}

/** What the SDK sets itself, and its generated client does not. */
async function emulatorSettings(
  host: string,
): Promise<{ readonly sdk: Settings; readonly api: Settings; readonly headers: object }> {
  const { credentials } = await import('@grpc/grpc-js')
  const { hostname, port } = new URL(`http://${host}`)
  const insecure = { sslCreds: credentials.createInsecure(), auth: noCredentials }
  return {
    sdk: { host, ssl: false, auth: noCredentials },
    api: { servicePath: hostname, port: Number(port), ...insecure },
    headers: { Authorization: 'Bearer owner' },
  }
}

/** Stands in for google-auth-library, which would ask the metadata server whether it is there, emulator or not. */
const noCredentials = { getUniverseDomain: async () => 'googleapis.com' }

export interface CallDeadlines {
  /** Settles within `ms`, and what `work` began on the wire ends by then too. Nested, the earlier end counts. */
  readonly within: <T>(ms: number, work: () => Promise<T>) => Promise<T>
  /** For the client's setting `grpc.callInvocationTransformer`, which sees every attempt of every call. */
  readonly transformCall: (call: GrpcCall) => GrpcCall
}

/** Deadlines that reach into the SDK, which allows a call 60 s and its repetitions ten minutes, and takes no other. */
export function createCallDeadlines(): CallDeadlines {
  const ends = new AsyncLocalStorage<number>()
  return {
    within: (ms, work) => {
      const end = Math.min(performance.now() + ms, ends.getStore() ?? Infinity)
      return settleBy(end, ends.run(end, work))
    },
    transformCall: (call) => {
      const end = ends.getStore()
      const once = disableResend(call)
      if (end === undefined) return once
      // gRPC's deadline is of the wall clock and ours is not: each attempt converts what is left of it.
      const deadline = Date.now() + (end - performance.now())
      return { ...once, callOptions: { ...once.callOptions, deadline } }
    },
  }
}

/** For what happens outside gRPC: loading the SDK, credentials. */
async function settleBy<T>(end: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(firestoreError('DEADLINE_EXCEEDED', undefined)), end - performance.now())
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

export interface InFlight {
  readonly track: <T>(work: () => Promise<T>) => Promise<T>
  /** Resolves when all that was tracked until now has settled. Never rejects. */
  readonly settled: () => Promise<void>
}

/** Work begun and not settled: a client terminated under it ends the process with an unhandled rejection. */
export function createInFlight(): InFlight {
  const running = new Set<Promise<unknown>>()
  return {
    track: async (work) => {
      const promise = work()
      running.add(promise)
      try {
        return await promise
      } finally {
        running.delete(promise)
      }
    },
    settled: async () => {
      await Promise.allSettled(running)
    },
  }
}

/** The parts of grpc-js' CallProperties and interceptors that matter here. */
export interface GrpcCall {
  readonly methodDefinition: { readonly path: string }
  readonly callOptions: Readonly<Record<string, unknown>>
}

interface CallStatus {
  readonly code: number
  readonly details: string
}

interface CallListener {
  readonly onReceiveStatus: (status: CallStatus) => void
}

interface InterceptedCall {
  start(metadata: unknown, listener: CallListener): void
}

type NextCall = (options: unknown) => InterceptedCall

/** The one status that the SDK never answers by sending again. */
const unknownCode = 2
/** Certainly not done: the SDK may send the commit again within its deadline. */
const retriedCommits: readonly unknown[] = ['ABORTED', 'RESOURCE_EXHAUSTED']

/**
 * A call whose failure the SDK does not answer by sending it again: a commit may have been done, and repetitions of a
 * read outlive the deadline and end as an unhandled rejection when the client is terminated meanwhile. The true
 * status stands before the details.
 */
function disableResend(call: GrpcCall): GrpcCall {
  const isCommit = call.methodDefinition.path.endsWith('/Commit')
  const mask = (status: CallStatus): CallStatus => {
    const name = statusOfNumber(status.code)
    if (name === undefined || !mayBeResent(name) || (isCommit && retriedCommits.includes(name))) return status
    return { ...status, code: unknownCode, details: `${name}: ${status.details}` }
  }
  const interceptor = (options: unknown, next: NextCall): InterceptedCall => {
    const inner = next(options)
    const start = inner.start.bind(inner)
    inner.start = (metadata, listener) =>
      start(metadata, { ...listener, onReceiveStatus: (status) => listener.onReceiveStatus(mask(status)) })
    return inner
  }
  return { ...call, callOptions: { ...call.callOptions, interceptors: [interceptor] } }
}

/** All that any method of the SDK repeats. */
function mayBeResent(name: string): boolean {
  return ['ABORTED', 'DEADLINE_EXCEEDED', 'INTERNAL', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'].includes(name)
}

/** The status that `withoutResend` put before the details. */
function maskedStatusName(details: unknown): string | undefined {
  return typeof details === 'string' ? /^([A-Z_]+): /.exec(details)?.[1] : undefined
}

/** The canonical status of what the SDK threw; `undefined` when it is not an answer of the server. */
export function sdkStatus(error: unknown): Status | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const masked = 'details' in error ? statusOfName(maskedStatusName(error.details)) : undefined
  return masked ?? statusOfNumber(error.code)
}

export function sdkError(error: unknown): BrokerError {
  return isBrokerError(error) ? error : firestoreError(sdkStatus(error), error)
}
