import type { BlockedCaller, ByHand } from '../domain/blocks.ts'
import type { PartStatus, ServiceStatus } from '../lifecycle/service-status.ts'
import { formatTimestamp } from '../domain/time.ts'
import type { BlockedCallerDocument, ServiceDocument, StopDocument } from './document-schemas/service.ts'

export function serviceDocument(status: ServiceStatus): ServiceDocument {
  const { policy } = status
  return {
    version: status.version,
    time: formatTimestamp(status.now),
    issuer: status.issuer,
    ...stopDocument(status.stopped),
    blocked_callers: status.blockedCallers,
    store: part(status.store),
    key_ring: part(status.keyRing),
    policy: {
      ...part(policy),
      revision: policy.revision,
      origin: policy.origin,
      loaded_at: policy.loadedAt === undefined ? undefined : formatTimestamp(policy.loadedAt),
    },
    settings: { ...status.settings },
  }
}

export function stopDocument(stopped: ByHand | undefined): StopDocument {
  return {
    stopped: stopped === undefined ? undefined : { by: stopped.by, since: formatTimestamp(stopped.since) },
  }
}

export function blockedCallerDocument(caller: BlockedCaller): BlockedCallerDocument {
  const { issuer, subject, by, since } = caller
  return { issuer, subject, by, since: formatTimestamp(since) }
}

function part({ ok, reason }: PartStatus): ServiceDocument['store'] {
  return { status: ok ? 'ok' : 'fault', reason }
}
