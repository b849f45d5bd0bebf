import { requireBearer } from './bearer.ts'
import { memberOf, nextPolicy, type IamPolicy } from './buckets.ts'
import { denyPermission, failWith, googleError } from './google-errors.ts'
import { timestamp } from './iam-credentials.ts'
import { optionalText, readJsonBody, requiredText } from './json-body.ts'
import { isObject, type JsonObject, jsonReply, Refusal, type Received, type Reply } from './reply.ts'
import { CLOUD_KMS } from './scopes.ts'
import type { ServiceAccount } from './service-accounts.ts'
import type { World } from './world.ts'

/** What an owner of a project makes there, by Google's administration APIs. */
export type Projects = {
  /** Its owner may do everything in it, but act as its service accounts. */
  readonly create: (id: string, number: string, owner: string) => void
  readonly numberOf: (id: string) => string | undefined
  readonly isOwner: (subject: string, id: string) => boolean
  readonly policies: Map<string, IamPolicy>
  readonly descriptions: Map<string, string>
  /** By resource name with the project's id. */
  readonly pools: Map<string, JsonObject>
  /** Fields with a TTL policy. */
  readonly ttlFields: Set<string>
}

export function createProjects(): Projects {
  const projects = new Map<string, { readonly number: string; readonly owner: string }>()
  const policies = new Map<string, IamPolicy>()
  return {
    // A project is known by its id and by its number.
    create: (id, number, owner) => {
      for (const name of [id, number]) projects.set(name, { number, owner })
    },
    numberOf: (id) => projects.get(id)?.number,
    isOwner: (subject, id) => projects.get(id)?.owner === subject,
    policies,
    descriptions: new Map(),
    pools: new Map(),
    ttlFields: new Set(),
  }
}

const firstPolicy: IamPolicy = { etag: 'CAE=', bindings: [] }
const tokenCreator = 'roles/iam.serviceAccountTokenCreator'

/** `POST …/serviceAccounts`, and of one of them GET and DELETE, by e-mail address or number. */
export function answerAccounts(world: World, received: Received): Reply {
  const { subject } = requireBearer(world, received)
  const { project = '', account: name } = received.names
  if (received.method === 'POST') return createAccount(world, received, subject)
  const account = world.accounts.find(name ?? '')
  const permission = `iam.serviceAccounts.${received.method === 'GET' ? 'get' : 'delete'}`
  const mayView = account !== undefined && isViewer(world, account, subject) && received.method === 'GET'
  if (!world.projects.isOwner(subject, project) && !mayView) return denyPermission(permission)
  if (account === undefined) return failWith('NOT_FOUND', `Unknown service account`)
  if (received.method === 'GET') return jsonReply(describeAccount(world, account))
  world.accounts.remove(account.email)
  world.projects.policies.delete(account.email)
  return jsonReply({})
}

function createAccount(world: World, received: Received, owner: string): Reply {
  const { project = '' } = received.names
  if (!world.projects.isOwner(owner, project)) return denyPermission('iam.serviceAccounts.create')
  const body = readJsonBody(received, ['accountId', 'serviceAccount'])
  const id = requiredText(body, 'accountId')
  if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(id)) return failWith('INVALID_ARGUMENT', 'Invalid account id')
  const email = `${id}@${project}.iam.gserviceaccount.com`
  if (world.accounts.find(email) !== undefined)
    throw new Refusal(
      googleError('ALREADY_EXISTS', `Service account ${id} already exists within project ${project}.`),
    )
  const account = world.accounts.add({ email })
  const described = isObject(body['serviceAccount'])
    ? optionalText(body['serviceAccount'], 'description')
    : undefined
  world.projects.descriptions.set(email, described ?? '')
  world.keyAdministration.allow(owner, email)
  return jsonReply(describeAccount(world, account))
}

function describeAccount({ projects }: World, account: ServiceAccount): JsonObject {
  const { email, project, uniqueId } = account
  const description = projects.descriptions.get(email) ?? ''
  return {
    name: `projects/${project}/serviceAccounts/${email}`,
    projectId: project,
    uniqueId,
    email,
    etag: 'MDEwMjE5MjA=',
    oauth2ClientId: uniqueId,
    ...(description === '' ? {} : { description }),
  }
}

function isViewer({ projects }: World, { email }: ServiceAccount, subject: string): boolean {
  return (projects.policies.get(email)?.bindings ?? []).some(
    ({ role, members }) =>
      role === 'roles/iam.serviceAccountViewer' &&
      Array.isArray(members) &&
      members.includes(`serviceAccount:${subject}`),
  )
}

/** `…:getIamPolicy` and `…:setIamPolicy` of a service account: who may act as it follows. */
export function answerAccountPolicy(world: World, received: Received): Reply {
  const { subject } = requireBearer(world, received)
  const { project = '', account: name = '', verb = '' } = received.names
  const account = world.accounts.find(name)
  if (!world.projects.isOwner(subject, project)) return denyPermission(`iam.serviceAccounts.${verb}`)
  if (account === undefined) return failWith('NOT_FOUND', 'Unknown service account')
  const { email } = account
  const policy = world.projects.policies.get(email) ?? firstPolicy
  if (verb === 'getIamPolicy') {
    if (received.body !== '') return failWith('INVALID_ARGUMENT', 'Request body must be empty.')
    return jsonReply({ version: 1, ...policy })
  }
  const written = readJsonBody(received, ['policy', 'updateMask'])['policy']
  if (!isObject(written)) return failWith('INVALID_ARGUMENT', 'no policy')
  if (written['etag'] !== policy.etag)
    throw new Refusal(
      googleError(
        'ABORTED',
        'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
      ),
    )
  const next = nextPolicy(policy, written)
  world.projects.policies.set(email, next)
  for (const [from, change] of [
    [policy, world.impersonation.withdraw],
    [next, world.impersonation.allow],
  ] as const)
    for (const { role, members } of from.bindings)
      if (role === tokenCreator && Array.isArray(members))
        for (const member of members) change(String(member).replace(/^\w+:/, ''), email)
  return jsonReply({ version: 1, ...next })
}

/** Workload identity pools and their providers; what is made is there when the operation's name comes back. */
export function answerPools(world: World, received: Received): Reply {
  const token = requireBearer(world, received)
  const { project = '', pool } = received.names
  if (!world.projects.isOwner(token.subject, project)) return denyPermission('iam.workloadIdentityPools.get')
  const number = world.projects.numberOf(project) ?? ''
  const isProvider = received.path.endsWith('/providers')
  const id = received.query.get('workloadIdentityPoolId') ?? pool ?? ''
  const name = `projects/${number}/locations/global/workloadIdentityPools/${id}`
  const known = world.projects.pools.get(name)
  if (received.method === 'GET')
    return known === undefined ? failWith('NOT_FOUND', 'no such pool') : jsonReply(known)
  if (received.method === 'DELETE') {
    if (known === undefined) return failWith('NOT_FOUND', 'no such pool')
    // It can be brought back for 30 days, and its name is taken for so long.
    world.projects.pools.set(name, { ...known, state: 'DELETED' })
    return jsonReply({ name: `${name}/operations/x`, done: true })
  }
  if (isProvider) return createProvider(world, received, name)
  const body = readJsonBody(received, ['displayName', 'description'])
  if (known !== undefined) throw new Refusal(googleError('ALREADY_EXISTS', 'Requested entity already exists'))
  if (String(body['displayName']).length > 32) return failWith('INVALID_ARGUMENT', 'displayName is too long')
  world.projects.pools.set(name, { name, state: 'ACTIVE', ...body })
  return jsonReply({ name: `${name}/operations/x`, metadata: {} })
}

function createProvider(world: World, received: Received, pool: string): Reply {
  const body = readJsonBody(received, ['attributeMapping', 'oidc', 'displayName', 'description'])
  const oidc = isObject(body['oidc']) ? body['oidc'] : {}
  const issuer = requiredText(oidc, 'issuerUri')
  if (!issuer.startsWith('https://')) return failWith('INVALID_ARGUMENT', 'issuerUri must be https')
  const jwks: unknown = JSON.parse(requiredText(oidc, 'jwksJson'))
  const keys = isObject(jwks) && Array.isArray(jwks['keys']) ? jwks['keys'].filter(isObject) : []
  const members = ['kty', 'alg', 'use', 'kid', 'n', 'e', 'x', 'y', 'crv']
  if (keys.length === 0 || keys.some((key) => Object.keys(key).some((member) => !members.includes(member))))
    return failWith('INVALID_ARGUMENT', 'Invalid JWK.')
  const id = received.query.get('workloadIdentityPoolProviderId') ?? ''
  const audience = `//iam.googleapis.com/${pool}/providers/${id}`
  world.pools.put({
    audience,
    issuer,
    jwks: { keys: keys.map((key) => ({ ...key, kty: String(key['kty']) })) },
  })
  return jsonReply({ name: `${pool}/providers/${id}/operations/x`, metadata: {} })
}

/** Versions of a key of Cloud KMS: made, looked at, scheduled for destruction. */
export function answerKeyVersions(world: World, received: Received): Reply {
  const { subject } = requireBearer(world, received, CLOUD_KMS)
  const { key: name = '', version } = received.names
  const { cryptoKeys } = world
  const asked = received.method === 'GET' ? 'get' : 'create'
  const verb = received.path.endsWith(':destroy') ? 'destroy' : asked
  if (cryptoKeys.find(name) === undefined || !cryptoKeys.administrators.has(subject, name))
    return denyPermission(`cloudkms.cryptoKeyVersions.${verb}`)
  if (verb === 'create') return jsonReply(describeVersion(world, cryptoKeys.addVersion(name)))
  const whole = `${name}/cryptoKeyVersions/${version ?? ''}`
  if (cryptoKeys.find(name)?.versions.every((one) => one.name !== whole) === true)
    return failWith('NOT_FOUND', `${whole} not found.`)
  if (verb === 'destroy') cryptoKeys.setState(whole, 'DESTROY_SCHEDULED')
  return jsonReply(describeVersion(world, whole))
}

function describeVersion({ cryptoKeys, now }: World, name: string): JsonObject {
  const key = cryptoKeys.find(name.replace(/\/cryptoKeyVersions\/\d+$/, ''))
  const state = key?.versions.find((one) => one.name === name)?.state
  return { name, state, protectionLevel: 'SOFTWARE', createTime: timestamp(now()) }
}

/** The configuration of one field in Firestore, as far as its TTL policy goes. */
export function answerField(world: World, received: Received): Reply {
  const { subject } = requireBearer(world, received)
  const { project = '' } = received.names
  if (!world.projects.isOwner(subject, project)) return denyPermission('datastore.indexes.update')
  const name = decodeURIComponent(received.path.replace(/^\/v1\//, ''))
  if (received.method === 'PATCH') {
    const body = readJsonBody(received, ['name', 'ttlConfig'])
    if (received.query.get('updateMask') !== 'ttlConfig')
      return failWith('INVALID_ARGUMENT', 'no update mask')
    if (body['ttlConfig'] === undefined) world.projects.ttlFields.delete(name)
    else world.projects.ttlFields.add(name)
    return jsonReply({ name: `projects/${project}/databases/(default)/operations/x` })
  }
  const state = world.tuning().ttlNeedsRepair ? 'NEEDS_REPAIR' : 'CREATING'
  return jsonReply({ name, ...(world.projects.ttlFields.has(name) ? { ttlConfig: { state } } : {}) })
}

/** `bigquery/v2/projects` and `compute/v1/projects/P/zones`: what the first shows to everybody, the second to owners. */
export function answerElsewhere(world: World, received: Received): Reply {
  const token = requireBearer(world, received)
  const { project } = received.names
  if (project === undefined) return jsonReply({ kind: 'bigquery#projectList', totalItems: 0 })
  if (world.projects.isOwner(token.subject, project)) return jsonReply({ kind: 'compute#zoneList' })
  return failWith('PERMISSION_DENIED', `Required 'compute.zones.list' permission for '${memberOf(token)}'`)
}
