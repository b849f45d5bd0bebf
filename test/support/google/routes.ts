import {
  answerGenerateAccessToken,
  answerGenerateIdToken,
  answerSignBlob,
  answerSignJwt,
} from './iam-credentials.ts'
import {
  answerCreateKey,
  answerDeleteKey,
  answerGetKey,
  answerListKeys,
  answerSwitchKey,
  answerUploadKey,
} from './iam-keys.ts'
import { answerAuthorize } from './consent-page.ts'
import {
  answerAccountPolicy,
  answerAccounts,
  answerElsewhere,
  answerField,
  answerKeyVersions,
  answerPools,
} from './projects.ts'
import { answerDecrypt, answerEncrypt } from './kms.ts'
import { answerEmail, answerIdentity, answerMetadataToken, answerScopes } from './metadata-server.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import { answerRevoke } from './revoke-endpoint.ts'
import { answerBucket } from './buckets.ts'
import { answerSts } from './sts-endpoint.ts'
import { answerToken } from './token-endpoint.ts'
import { answerTokeninfo } from './tokeninfo-endpoint.ts'
import type { World } from './world.ts'

export const endpointNames = [
  'token',
  'sts',
  'iamCredentials',
  'iam',
  'kms',
  'revoke',
  'tokeninfo',
  'certs',
  'metadata',
  'storage',
  'authorize',
  'elsewhere',
] as const
export type EndpointName = (typeof endpointNames)[number]

export type Route = {
  readonly endpoint: EndpointName
  readonly operation: string
  readonly method: string
  readonly path: RegExp
  readonly answer: (world: World, received: Received) => Reply | Promise<Reply>
}

const account = String.raw`projects/(?<project>[^/]+)/serviceAccounts/(?<account>[^/:]+)`
const keys = `/iam/v1/${account}/keys`
const cryptoKeyName = 'projects/[^/:]+/locations/[^/:]+/keyRings/[^/:]+/cryptoKeys/[^/:]+'
const cryptoKey = `/kms/v1/${cryptoKeyName}`
const oneKey = `${keys}/(?<key>[^/:]+)`

/** Everything the stand-in answers; what is not here answers 501. */
export const routes: readonly Route[] = [
  route('token', 'token', 'POST', '/token', answerToken),
  route('sts', 'token', 'POST', '/sts/v1/token', answerSts),
  impersonation('generateAccessToken', answerGenerateAccessToken),
  impersonation('generateIdToken', answerGenerateIdToken),
  impersonation('signJwt', answerSignJwt),
  impersonation('signBlob', answerSignBlob),
  route('iam', 'createKey', 'POST', keys, answerCreateKey),
  route('iam', 'listKeys', 'GET', keys, answerListKeys),
  route('iam', 'uploadKey', 'POST', `${keys}:upload`, answerUploadKey),
  route('iam', 'getKey', 'GET', oneKey, answerGetKey),
  route('iam', 'deleteKey', 'DELETE', oneKey, answerDeleteKey),
  route('iam', 'switchKey', 'POST', `${oneKey}:(?<verb>disable|enable)`, answerSwitchKey),
  route('kms', 'encrypt', 'POST', `${cryptoKey}(?:/cryptoKeyVersions/[0-9]+)?:encrypt`, answerEncrypt),
  route('kms', 'decrypt', 'POST', `${cryptoKey}:decrypt`, answerDecrypt),
  ...projects(),
  route('authorize', 'authorize', 'GET', '/authorize', answerAuthorize),
  route('revoke', 'revoke', 'POST', '/revoke', answerRevoke),
  route('tokeninfo', 'tokeninfo', 'GET', '/tokeninfo', answerTokeninfo),
  route('tokeninfo', 'tokeninfo', 'POST', '/tokeninfo', answerTokeninfo),
  route('certs', 'certs', 'GET', '/oauth2/v3/certs', answerCerts),
  ...storage(),
  ...metadata({
    token: answerMetadataToken,
    identity: answerIdentity,
    email: answerEmail,
    scopes: answerScopes,
  }),
]

function projects(): readonly Route[] {
  const accounts = '/iam/v1/projects/(?<project>[^/]+)/serviceAccounts'
  const pools = '/iam/v1/projects/(?<project>[^/]+)/locations/global/workloadIdentityPools'
  const versions = `/kms/v1/(?<key>${cryptoKeyName})/cryptoKeyVersions`
  const field = '/v1/projects/(?<project>[^/]+)/databases/[^/]+/collectionGroups/[^/]+/fields/[^/]+'
  return [
    route('iam', 'createAccount', 'POST', accounts, answerAccounts),
    ...(['GET', 'DELETE'] as const).flatMap((method) => [
      route('iam', `${method} account`, method, `${accounts}/(?<account>[^/:]+)`, answerAccounts),
      route('iam', `${method} pool`, method, `${pools}/(?<pool>[^/:]+)`, answerPools),
    ]),
    route(
      'iam',
      'policy',
      'POST',
      `${accounts}/(?<account>[^/:]+):(?<verb>[gs]etIamPolicy)`,
      answerAccountPolicy,
    ),
    route('iam', 'createPool', 'POST', pools, answerPools),
    route('iam', 'createProvider', 'POST', `${pools}/(?<pool>[^/:]+)/providers`, answerPools),
    route('kms', 'createVersion', 'POST', versions, answerKeyVersions),
    route('kms', 'getVersion', 'GET', `${versions}/(?<version>[0-9]+)`, answerKeyVersions),
    route('kms', 'destroyVersion', 'POST', `${versions}/(?<version>[0-9]+):destroy`, answerKeyVersions),
    ...(['GET', 'PATCH'] as const).map((method) =>
      route('elsewhere', `${method} field`, method, field, answerField),
    ),
    route('elsewhere', 'bigquery', 'GET', '/bigquery/v2/projects', answerElsewhere),
    route('elsewhere', 'compute', 'GET', '/compute/v1/projects/(?<project>[^/]+)/zones', answerElsewhere),
    ...(['GET', 'PUT'] as const).map((method) =>
      route('storage', `${method} policy`, method, '/storage/v1/b/(?<bucket>[^/]+)/iam', answerBucket),
    ),
  ]
}

function storage(): readonly Route[] {
  const objects = '/storage/v1/b/(?<bucket>[^/]+)/o'
  return [
    route('storage', 'list objects', 'GET', objects, answerBucket),
    route('storage', 'create object', 'POST', `/upload${objects}`, answerBucket),
    ...(['GET', 'PATCH', 'DELETE'] as const).map((method) =>
      route('storage', `${method.toLowerCase()} object`, method, `${objects}/(?<object>[^/]+)`, answerBucket),
    ),
  ]
}

function metadata(answers: Readonly<Record<string, Route['answer']>>): readonly Route[] {
  const account = '/computeMetadata/v1/instance/service-accounts/(?<account>[^/]+)'
  return Object.entries(answers).map(([name, answer]) =>
    route('metadata', `metadata ${name}`, 'GET', `${account}/${name}`, answer),
  )
}

function impersonation(operation: string, answer: Route['answer']): Route {
  return route('iamCredentials', operation, 'POST', `/iamcredentials/v1/${account}:${operation}`, answer)
}

// Five parameters: each line of the table above reads as one route.
function route(
  endpoint: EndpointName,
  operation: string,
  method: string,
  path: string,
  answer: Route['answer'],
): Route {
  return { endpoint, operation, method, path: new RegExp(`^(?:${path})$`), answer }
}

async function answerCerts(world: World): Promise<Reply> {
  return jsonReply(await world.idTokens.certs())
}
