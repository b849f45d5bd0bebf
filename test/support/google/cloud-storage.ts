import { Environment } from '@marcbachmann/cel-js'
import type { AccessBoundary, AccessBoundaryRule } from './boundary.ts'
import { failWith } from './google-errors.ts'
import type { IssuedToken } from './issued-tokens.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import { openSuffix } from './boundary-tokens.ts'
import type { World } from './world.ts'

/** What is to be done in Cloud Storage. */
export type StorageRequest = {
  readonly permission: StoragePermission
  readonly bucket: string
  /** Absent: the bucket itself, of which objects are listed. */
  readonly object?: string
  /** Of a list. */
  readonly prefix?: string
}

export type StoragePermission =
  `storage.objects.${'get' | 'list' | 'create' | 'delete' | 'update' | 'setIamPolicy'}`

const reading = ['storage.objects.get', 'storage.objects.list'] as const
const writing = [
  ...reading,
  'storage.objects.create',
  'storage.objects.delete',
  'storage.objects.update',
] as const
const everything = [...writing, 'storage.objects.setIamPolicy'] as const

/** Predefined roles of Cloud Storage (docs/google.md §2.4), as far as objects go. */
export const storageRoles: Readonly<Record<string, readonly StoragePermission[]>> = {
  'roles/storage.admin': everything,
  'roles/storage.objectAdmin': everything,
  'roles/storage.objectUser': writing,
  'roles/storage.objectCreator': ['storage.objects.create'],
  'roles/storage.objectViewer': reading,
  'roles/storage.legacyObjectReader': ['storage.objects.get'],
  'roles/storage.legacyObjectOwner': [
    'storage.objects.get',
    'storage.objects.update',
    'storage.objects.setIamPolicy',
  ],
  'roles/storage.legacyBucketReader': ['storage.objects.list'],
  'roles/storage.legacyBucketWriter': [
    'storage.objects.list',
    'storage.objects.create',
    'storage.objects.delete',
  ],
  'roles/storage.legacyBucketOwner': [
    'storage.objects.list',
    'storage.objects.create',
    'storage.objects.delete',
  ],
  'roles/storage.bucketViewer': [],
  'roles/storage.folderAdmin': [],
  'roles/storage.hmacKeyAdmin': [],
}

const scopes: Readonly<Record<string, readonly StoragePermission[]>> = {
  [CLOUD_PLATFORM]: everything,
  'https://www.googleapis.com/auth/devstorage.full_control': everything,
  'https://www.googleapis.com/auth/devstorage.read_write': writing,
  'https://www.googleapis.com/auth/devstorage.read_only': reading,
}

/** A token as Cloud Storage sees it: what it was made from, and within which boundary. */
export type OpenedToken = {
  readonly token: IssuedToken
  readonly boundary: AccessBoundary | undefined
  readonly isSealed: boolean
}

/** `undefined` for a token that is not good here, the intermediary without a boundary above all. */
export async function openToken(
  { tokens, sessionKeys, tuning }: World,
  value: string,
): Promise<OpenedToken | undefined> {
  const whole = tokens.findLive(value)
  if (whole !== undefined)
    return whole.kind === 'id_token' || (whole.kind === 'intermediary' && !tuning().takesIntermediaryAlone)
      ? undefined
      : { token: whole, boundary: whole.boundary, isSealed: false }
  const end = value.lastIndexOf('.')
  const token = tokens.findLive(value.slice(0, end))
  const key = sessionKeys.get(value.slice(0, end))
  if (token?.kind !== 'intermediary' || key === undefined) return undefined
  try {
    return { token, boundary: await openSuffix(value.slice(end + 1), key), isSealed: true }
  } catch {
    return undefined
  }
}

/** Whether the token may do it, given that its account may do everything. */
export function isAllowed(
  { token, boundary }: OpenedToken,
  request: StorageRequest,
  ignoresConditions = false,
): boolean {
  const isInScope = token.scopes.some((scope) => scopes[scope]?.includes(request.permission))
  if (!isInScope) return false
  if (boundary === undefined) return true
  return boundary.accessBoundaryRules.some((rule) =>
    opens(ignoresConditions ? { ...rule, availabilityCondition: undefined } : rule, request),
  )
}

function opens(
  rule: Omit<AccessBoundaryRule, 'availabilityCondition'> & {
    readonly availabilityCondition?: AccessBoundaryRule['availabilityCondition'] | undefined
  },
  request: StorageRequest,
): boolean {
  const { availableResource, availablePermissions, availabilityCondition: when } = rule
  if (availableResource !== `//storage.googleapis.com/projects/_/buckets/${request.bucket}`) return false
  const isGiven = availablePermissions.some((permission) =>
    storageRoles[permission.replace(/^inRole:/, '')]?.includes(request.permission),
  )
  return isGiven && (when === undefined || holds(when.expression, request))
}

class Api {
  readonly prefix: string
  constructor(prefix: string) {
    this.prefix = prefix
  }
}

const environment = new Environment()
  .registerVariable('resource', 'map')
  .registerType('Api', Api)
  .registerVariable('api', 'Api')
  .registerFunction('Api.getAttribute(string, string): string', (api: Api, name: string, otherwise: string) =>
    name === 'storage.googleapis.com/objectListPrefix' && api.prefix !== '' ? api.prefix : otherwise,
  )

/** What cannot be evaluated does not hold, as at Cloud Storage. */
export function holds(
  expression: string,
  { bucket, object, prefix = '' }: Omit<StorageRequest, 'permission'>,
): boolean {
  const name = `projects/_/buckets/${bucket}${object === undefined ? '' : `/objects/${object}`}`
  try {
    return environment.evaluate(expression, { resource: { name }, api: new Api(prefix) }) === true
  } catch {
    return false
  }
}

const permissions: Readonly<Record<string, StoragePermission>> = {
  GET: 'storage.objects.get',
  DELETE: 'storage.objects.delete',
  PATCH: 'storage.objects.update',
  POST: 'storage.objects.create',
}

/** Cloud Storage's JSON API, for one object or a list: every object is there, and nothing is kept. */
export async function answerStorage(world: World, received: Received): Promise<Reply> {
  const value = /^Bearer ([^\s]+)$/.exec(received.authorization ?? '')?.[1]
  const opened = value === undefined ? undefined : await openToken(world, value)
  if (opened === undefined) return failWith('UNAUTHENTICATED', 'Invalid Credentials')
  const { bucket = '', object } = received.names
  const name = object ?? (received.method === 'POST' ? received.query.get('name') : undefined)
  const permission = name === undefined ? 'storage.objects.list' : permissions[received.method]
  const request = {
    bucket,
    prefix: received.query.get('prefix') ?? '',
    ...(name === undefined || name === null ? {} : { object: name }),
  }
  if (permission === undefined || !isAllowed(opened, { ...request, permission }))
    return failWith(
      'PERMISSION_DENIED',
      `${opened.token.subject} does not have ${String(permission)} access.`,
    )
  return jsonReply(
    name === undefined ? { kind: 'storage#objects' } : { kind: 'storage#object', bucket, name },
  )
}
