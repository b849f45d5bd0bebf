import { failWith } from './google-errors.ts'
import {
  answerStorage,
  holds,
  isAllowed,
  openToken,
  storageRoles,
  type OpenedToken,
  type StorageRequest,
} from './cloud-storage.ts'
import { isObject, type JsonObject, jsonReply, Refusal, type Received, type Reply } from './reply.ts'
import type { IssuedToken } from './issued-tokens.ts'
import type { World } from './world.ts'

/** An object that is there, as Cloud Storage's JSON API describes it. */
export type StoredObject = {
  readonly name: string
  readonly generation: string
  readonly metadata: Readonly<Record<string, unknown>>
}

export type IamPolicy = { readonly etag: string; readonly bindings: readonly JsonObject[] }

/** A bucket that keeps what is put into it; in every other one every object is there. */
export type Bucket = {
  readonly name: string
  /** Who may do everything in it. */
  readonly owner: string
  readonly objects: Map<string, StoredObject>
  policy: IamPolicy
}

export type Buckets = {
  readonly create: (name: string, owner: string) => Bucket
  readonly find: (name: string) => Bucket | undefined
}

export function createBuckets(): Buckets {
  const buckets = new Map<string, Bucket>()
  return {
    create: (name, owner) => {
      const bucket: Bucket = { name, owner, objects: new Map(), policy: { etag: 'CAE=', bindings: [] } }
      buckets.set(name, bucket)
      return bucket
    },
    find: (name) => buckets.get(name),
  }
}

/** A policy written over another is of another etag. */
export function nextPolicy({ etag }: IamPolicy, written: JsonObject): IamPolicy {
  const number = Buffer.from(etag, 'base64').readUInt8(1) + 1
  const bindings = Array.isArray(written['bindings']) ? written['bindings'].filter(isObject) : []
  return { etag: Buffer.from([8, number]).toString('base64'), bindings }
}

/** As IAM names whom a token speaks for. */
export function memberOf({ subject }: IssuedToken): string {
  if (subject.includes('://')) return subject
  return `${subject.endsWith('.gserviceaccount.com') ? 'serviceAccount' : 'user'}:${subject}`
}

/** Cloud Storage's errors have no `status`, unlike those of other services. */
function refuseStorage(code: number, reason: string, message: string): never {
  throw new Refusal(
    jsonReply({ error: { code, message, errors: [{ message, domain: 'global', reason }] } }, code),
  )
}

/** Objects and the IAM policy of a bucket that keeps what is put into it; of any other as `answerStorage` does. */
export async function answerBucket(world: World, received: Received): Promise<Reply> {
  const bucket = world.buckets.find(received.names['bucket'] ?? '')
  if (bucket === undefined) return answerStorage(world, received)
  const value = /^Bearer ([^\s]+)$/.exec(received.authorization ?? '')?.[1]
  const opened = value === undefined ? undefined : await openToken(world, value)
  if (opened === undefined) return failWith('UNAUTHENTICATED', 'Invalid Credentials')
  if (received.path.endsWith('/iam')) return answerPolicy(bucket, opened, received)
  const { object } = received.names
  if (received.path.startsWith('/upload/')) return createObject(world, bucket, opened, received)
  if (object === undefined) {
    const prefix = received.query.get('prefix') ?? ''
    require(world, bucket, opened, { bucket: bucket.name, prefix, permission: 'storage.objects.list' })
    const items = [...bucket.objects.values()].filter(({ name }) => name.startsWith(prefix))
    return jsonReply({ kind: 'storage#objects', ...(items.length === 0 ? {} : { items }) })
  }
  const permission = (
    { GET: 'storage.objects.get', PATCH: 'storage.objects.update', DELETE: 'storage.objects.delete' } as const
  )[received.method]
  if (permission === undefined) return failWith('INVALID_ARGUMENT', 'no such method')
  require(world, bucket, opened, { bucket: bucket.name, object, permission })
  const found = bucket.objects.get(object)
  const generation = received.query.get('generation')
  if (found === undefined || (generation !== null && generation !== found.generation))
    return refuseStorage(404, 'notFound', `No such object: ${bucket.name}/${object}`)
  if (received.method !== 'DELETE')
    return jsonReply({ kind: 'storage#object', bucket: bucket.name, ...found })
  bucket.objects.delete(object)
  return { status: 204, headers: {}, body: '' }
}

function createObject(world: World, bucket: Bucket, opened: OpenedToken, received: Received): Reply {
  const boundary = /^multipart\/related; boundary=(.+)$/.exec(received.contentType)?.[1]
  if (boundary === undefined || received.query.get('uploadType') !== 'multipart')
    return refuseStorage(400, 'invalid', 'Metadata part is too large or missing.')
  const [, first = ''] = received.body.split(`--${boundary}\r\n`)
  const described: unknown = JSON.parse(first.split('\r\n\r\n')[1] ?? '')
  const { name, metadata } = isObject(described) ? described : {}
  if (typeof name !== 'string') return refuseStorage(400, 'required', 'Required')
  require(world, bucket, opened, { bucket: bucket.name, object: name, permission: 'storage.objects.create' })
  if (received.query.get('ifGenerationMatch') === '0' && bucket.objects.has(name))
    return refuseStorage(
      412,
      'conditionNotMet',
      'At least one of the pre-conditions you specified did not hold.',
    )
  const generation = `${1_700_000_000_000_000 + bucket.objects.size + world.now()}`
  const made: StoredObject = { name, generation, metadata: isObject(metadata) ? metadata : {} }
  bucket.objects.set(name, made)
  return jsonReply({ kind: 'storage#object', bucket: bucket.name, ...made })
}

/** By scope and boundary of the token, and by what the bucket's policy gives its principal. */
function require(world: World, bucket: Bucket, opened: OpenedToken, request: StorageRequest): void {
  const member = memberOf(opened.token)
  const isGiven =
    opened.token.subject === bucket.owner ||
    bucket.policy.bindings.some(({ role, members, condition }) => {
      const expression = isObject(condition) ? condition['expression'] : undefined
      return (
        Array.isArray(members) &&
        members.includes(member) &&
        storageRoles[String(role)]?.includes(request.permission) === true &&
        (expression === undefined || (typeof expression === 'string' && holds(expression, request)))
      )
    })
  if (isGiven && isAllowed(opened, request, world.tuning().ignoresConditions)) return
  refuseStorage(403, 'forbidden', `${opened.token.subject} does not have ${request.permission} access.`)
}

function answerPolicy(bucket: Bucket, { token, boundary }: OpenedToken, received: Received): Reply {
  if (token.subject !== bucket.owner || boundary !== undefined)
    return refuseStorage(
      403,
      'forbidden',
      `${token.subject} does not have storage.buckets.getIamPolicy access.`,
    )
  if (received.method === 'PUT') {
    const written: unknown = JSON.parse(received.body)
    if (!isObject(written)) return refuseStorage(400, 'invalid', 'no policy')
    const isConditional = JSON.stringify(written['bindings']).includes('"condition"')
    if (isConditional && written['version'] !== 3) return refuseStorage(400, 'invalid', 'version must be 3')
    if (written['etag'] !== bucket.policy.etag)
      return refuseStorage(
        412,
        'conditionNotMet',
        'At least one of the pre-conditions you specified did not hold.',
      )
    bucket.policy = nextPolicy(bucket.policy, written)
  }
  return jsonReply({
    kind: 'storage#policy',
    resourceId: `projects/_/buckets/${bucket.name}`,
    version: 3,
    ...bucket.policy,
  })
}
