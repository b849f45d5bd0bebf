import type { Clock } from '../../../ports/clock.ts'
import type { DocumentStore } from '../../../ports/document-store.ts'
import type { Entropy } from '../../../ports/entropy.ts'
import type { HttpClient } from '../../../ports/http-client.ts'
import { formatDocument, checkExpiry, checkKey, checkListOptions } from '../../documents.ts'
import type { AccessToken } from '../../../google/api-request.ts'
import { createSendFirestore } from './send-firestore.ts'
import type { DocumentsRoot } from './rest-document.ts'
import { createRestReads } from './rest-reads.ts'
import { createRestWrites } from './rest-writes.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'

export type FirestoreRestStoreDeps = FirestoreServer & {
  readonly projectId: string
  /** Default `(default)`. */
  readonly databaseId?: string
  /** Every call settles within it; default 3,000. */
  readonly deadlineMs?: number
  readonly http: HttpClient
  readonly clock: Clock
  readonly entropy: Entropy
  /** Whether one request may await what another began; absent or false on Workers. */
  readonly sharesWork?: boolean
}

export type FirestoreServer =
  /** `HOST:PORT`; then neither TLS nor credentials are used. */
  | { readonly emulatorHost: string }
  /** `baseUrl`: what comes before `/v1`, for a private endpoint. */
  | { readonly accessToken: AccessToken; readonly baseUrl?: string }

const googleUrl = 'https://firestore.googleapis.com'
const deadlineMsByDefault = 3000
const projectPattern = /^[a-zA-Z0-9][\w.:-]{0,62}$/
const databasePattern = /^(?:\(default\)|[a-zA-Z0-9][\w-]{0,62})$/

/**
 * Documents in Firestore by its REST API and `fetch`, in Node and in workerd, in the same form as the SDK's driver
 * keeps them: versions may go back and forth. No write is sent again once its outcome is unknown: it is looked up by
 * its nonce, in the last third of the deadline. Throws TypeError for what cannot name a project or database.
 */
export function createFirestoreRestStore(deps: FirestoreRestStoreDeps): DocumentStore {
  const { projectId, databaseId = '(default)', clock, entropy } = deps
  const deadlineMs = deps.deadlineMs ?? deadlineMsByDefault
  const root = documentsRoot(projectId, databaseId)
  const ask = createSendFirestore({ ...deps, ...serverOf(deps, root), attemptMs: (deadlineMs * 2) / 3 })
  const reads = createRestReads({ ask, root, clock })
  const writes = createRestWrites({
    ask,
    root,
    clock,
    find: reads.find,
    sharesWork: deps.sharesWork === true,
  })
  const endMs = (): number => clock.steadyMs() + deadlineMs

  return {
    get: async (key) => {
      checkKey(key)
      return await reads.get(key, endMs())
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { expiresAt } = options
      const json = formatDocument(value)
      const fields = { json, nonce: entropy.uuid(), ...omitUndefined({ expiresAt }) }
      return await writes.put({ key, fields, endMs: endMs() }, options.if)
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      return await writes.remove(key, version, endMs())
    },
    list: async (options) => {
      checkListOptions(options)
      return await reads.list(options, endMs())
    },
  }
}

function documentsRoot(projectId: string, databaseId: string): DocumentsRoot {
  // Both go into the address: a dot segment or a slash there would be another one.
  if (!projectPattern.test(projectId)) throw new TypeError('projectId names no Google Cloud project')
  if (!databasePattern.test(databaseId)) throw new TypeError('databaseId names no Firestore database')
  return `projects/${projectId}/databases/${databaseId}/documents`
}

function serverOf(
  server: FirestoreServer,
  root: DocumentsRoot,
): { readonly documentsUrl: string; readonly accessToken: AccessToken | undefined } {
  if ('emulatorHost' in server)
    return { documentsUrl: `http://${server.emulatorHost}/v1/${root}`, accessToken: undefined }
  const { baseUrl = googleUrl, accessToken } = server
  return { documentsUrl: `${baseUrl}/v1/${root}`, accessToken }
}
