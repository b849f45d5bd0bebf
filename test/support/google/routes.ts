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
import { answerDecrypt, answerEncrypt } from './kms.ts'
import { answerEmail, answerIdentity, answerMetadataToken, answerScopes } from './metadata-server.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import { answerRevoke } from './revoke-endpoint.ts'
import { answerStorage } from './cloud-storage.ts'
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
const cryptoKey = '/kms/v1/projects/[^/:]+/locations/[^/:]+/keyRings/[^/:]+/cryptoKeys/[^/:]+'
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
  route('kms', 'encrypt', 'POST', `${cryptoKey}:encrypt`, answerEncrypt),
  route('kms', 'decrypt', 'POST', `${cryptoKey}:decrypt`, answerDecrypt),
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

function storage(): readonly Route[] {
  const objects = '/storage/v1/b/(?<bucket>[^/]+)/o'
  return [
    route('storage', 'list objects', 'GET', objects, answerStorage),
    route('storage', 'create object', 'POST', `/upload${objects}`, answerStorage),
    ...(['GET', 'PATCH', 'DELETE'] as const).map((method) =>
      route(
        'storage',
        `${method.toLowerCase()} object`,
        method,
        `${objects}/(?<object>[^/]+)`,
        answerStorage,
      ),
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
