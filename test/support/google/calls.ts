import type { EndpointName } from './routes.ts'

/** One request the stand-in received. */
export type Call = {
  readonly endpoint: EndpointName | 'unknown'
  readonly method: string
  readonly path: string
  /** `refresh_token`, `jwt-bearer`, `token-exchange`, or the name of the operation. */
  readonly grant: string
  /** The first refresh token of the grant, or the service account's email: whose credential was used. */
  readonly credential: string
  /** Form or JSON members; of a repeated one the first. */
  readonly params: Readonly<Record<string, unknown>>
  /** By the stand-in's clock. */
  readonly time: number
  /** Undefined while the answer is not out, and for ever when none came. */
  readonly status: number | undefined
}

export type CallFilter =
  | Partial<Pick<Call, 'endpoint' | 'method' | 'path' | 'grant' | 'credential' | 'status'>>
  | ((call: Call) => boolean)

export type Calls = {
  /** In the order of arrival. */
  readonly all: () => readonly Call[]
  readonly where: (filter: CallFilter) => readonly Call[]
  readonly count: (filter?: CallFilter) => number
  /** The most matching calls that were in flight at once. */
  readonly highWater: (filter?: CallFilter) => number
  /** Forgets every call. */
  readonly reset: () => void
}

export type CallRecorder = Calls & {
  readonly begin: (
    call: Omit<Call, 'status'>,
  ) => Call & { readonly end: (status: number | undefined) => void }
}

type Entry = { call: Call; readonly began: number; ended: number }

export function createCallRecorder(): CallRecorder {
  let entries: Entry[] = []
  let order = 0
  const tick = () => {
    order += 1
    return order
  }
  const where = (filter: CallFilter) => entries.filter((entry) => matches(entry.call, filter))
  return {
    begin: (received) => {
      const call: Call = { ...received, status: undefined }
      const entry: Entry = { call, began: tick(), ended: Number.POSITIVE_INFINITY }
      entries.push(entry)
      const end = (status: number | undefined) => {
        entry.call = { ...call, status }
        entry.ended = tick()
      }
      return { ...call, end }
    },
    all: () => entries.map((entry) => entry.call),
    where: (filter) => where(filter).map((entry) => entry.call),
    count: (filter = {}) => where(filter).length,
    highWater: (filter = {}) => mostAtOnce(where(filter)),
    reset: () => {
      entries = []
    },
  }
}

function mostAtOnce(entries: readonly Entry[]): number {
  const events = entries.flatMap(({ began, ended }) => [
    { at: began, change: 1 },
    { at: ended, change: -1 },
  ])
  let open = 0
  let most = 0
  for (const { change } of events.toSorted((one, other) => one.at - other.at)) {
    open += change
    most = Math.max(most, open)
  }
  return most
}

function matches(call: Call, filter: CallFilter): boolean {
  if (typeof filter === 'function') return filter(call)
  const wanted: readonly [string, unknown][] = Object.entries(filter)
  const actual: ReadonlyMap<string, unknown> = new Map(Object.entries(call))
  return wanted.every(([name, value]) => actual.get(name) === value)
}
