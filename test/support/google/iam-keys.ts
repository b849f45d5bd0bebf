import type { AccountKey } from './account-keys.ts'
import { requireBearer } from './bearer.ts'
import { parseCertificate } from './certificate.ts'
import { denyPermission, failWith } from './google-errors.ts'
import { timestamp } from './iam-credentials.ts'
import { invalidValue, optionalText, readJsonBody, requiredText } from './json-body.ts'
import { type JsonObject, jsonReply, notImplemented, type Received, type Reply } from './reply.ts'
import { keyFile, type ServiceAccount } from './service-accounts.ts'
import type { World } from './world.ts'

const USER_KEYS_MAX = 10
const FILE_TYPE = 'TYPE_GOOGLE_CREDENTIALS_FILE'

/** `POST …/keys`: a new key; its private part is in this answer and nowhere else (docs/google.md §3.2). */
export async function answerCreateKey(world: World, received: Received): Promise<Reply> {
  const account = administer(world, received, 'create')
  const body = readJsonBody(received, ['privateKeyType', 'keyAlgorithm'])
  const type = optionalText(body, 'privateKeyType') ?? FILE_TYPE
  const algorithm = optionalText(body, 'keyAlgorithm') ?? 'KEY_ALG_RSA_2048'
  if (type !== FILE_TYPE) return notImplemented(`privateKeyType ${type}`)
  if (algorithm !== 'KEY_ALG_RSA_2048') return notImplemented(`keyAlgorithm ${algorithm}`)
  if (world.tuning().keyCreationDisabled) return refuseByPolicy(account, 'Creation')
  checkLimit(account)
  const { key, pair } = await account.keys.create(world.now() + world.tuning().keyPropagation)
  const file = JSON.stringify(keyFile(account, key.id, pair), undefined, 2)
  return jsonReply({
    ...describe(account, key),
    privateKeyType: FILE_TYPE,
    privateKeyData: Buffer.from(file).toString('base64'),
  })
}

/** `GET …/keys`: no paging; SYSTEM_MANAGED keys too unless `keyTypes` says otherwise. */
export async function answerListKeys(world: World, received: Received): Promise<Reply> {
  const account = administer(world, received, 'list')
  onlyQuery(received, 'keyTypes')
  const types = received.query.getAll('keyTypes')
  for (const type of types) {
    if (type !== 'USER_MANAGED' && type !== 'SYSTEM_MANAGED') return invalidValue('key_types')
  }
  const isListed = ({ madeAt }: AccountKey) => madeAt + world.tuning().listLag <= world.now()
  const all = [...account.keys.userManaged().filter(isListed), (await account.keys.system()).key]
  const keys = all.filter((key) => types.length === 0 || types.includes(key.type))
  return jsonReply(keys.length === 0 ? {} : { keys: keys.map((key) => describe(account, key)) })
}

/** `GET …/keys/ID` */
export function answerGetKey(world: World, received: Received): Reply {
  const account = administer(world, received, 'get')
  onlyQuery(received, 'publicKeyType')
  const key = requireKey(account, received)
  const type = received.query.get('publicKeyType') ?? 'TYPE_NONE'
  if (type === 'TYPE_NONE') return jsonReply(describe(account, key))
  if (type === 'TYPE_RAW_PUBLIC_KEY') {
    return withPublicKey(account, key, key.publicKey.export({ type: 'spki', format: 'pem' }).toString())
  }
  if (type !== 'TYPE_X509_PEM_FILE') return invalidValue('public_key_type')
  if (key.certificate === undefined) {
    return notImplemented('TYPE_X509_PEM_FILE of a key that was not uploaded')
  }
  return withPublicKey(account, key, key.certificate)
}

/** `DELETE …/keys/ID`: assertions it signed are refused from now on; issued tokens live on. */
export function answerDeleteKey(world: World, received: Received): Reply {
  const account = administer(world, received, 'delete')
  account.keys.remove(requireUserKey(account, received).id)
  return jsonReply({})
}

/** `POST …/keys/ID:disable`, reversible by `:enable`. */
export function answerSwitchKey(world: World, received: Received): Reply {
  const disabled = received.names['verb'] === 'disable'
  const account = administer(world, received, disabled ? 'disable' : 'enable')
  readJsonBody(received, [])
  account.keys.setDisabled(requireUserKey(account, received).id, disabled)
  return jsonReply({})
}

/** `POST …/keys:upload`: the public half of a key made elsewhere, in an X.509 v3 certificate. */
export function answerUploadKey(world: World, received: Received): Reply {
  const account = administer(world, received, 'upload')
  const body = readJsonBody(received, ['publicKeyData'])
  if (world.tuning().keyUploadDisabled) return refuseByPolicy(account, 'Upload')
  const { pem, publicKey, validAfter, validBefore } = parseCertificate(
    requiredText(body, 'publicKeyData'),
    world.now(),
  )
  checkLimit(account)
  const usableFrom = world.now() + world.tuning().keyPropagation
  const key = account.keys.upload(publicKey, pem, { validAfter, validBefore, usableFrom })
  return jsonReply(describe(account, key))
}

function administer(world: World, received: Received, verb: string): ServiceAccount {
  const caller = requireBearer(world, received)
  const { project, account: name = '' } = received.names
  const account = world.accounts.find(name)
  const isAllowed = world.keyAdministration.has(caller.subject, account?.email ?? name)
  if (!isAllowed) return denyPermission(`iam.serviceAccountKeys.${verb}`)
  if (!account || (project !== '-' && project !== account.project)) {
    return failWith('NOT_FOUND', `Service account ${name} does not exist.`)
  }
  return account
}

function requireKey(account: ServiceAccount, received: Received): AccountKey {
  const id = received.names['key'] ?? ''
  const key = account.keys.find(id)
  return key ?? failWith('NOT_FOUND', `Service account key ${id} does not exist.`)
}

function requireUserKey(account: ServiceAccount, received: Received): AccountKey {
  const key = requireKey(account, received)
  if (key.type === 'USER_MANAGED') return key
  return failWith('FAILED_PRECONDITION', 'Precondition check failed.')
}

// Google no longer says which precondition: the asker must count (docs/google.md §3.2).
function checkLimit(account: ServiceAccount): void {
  if (account.keys.userManaged().length >= USER_KEYS_MAX) {
    failWith('FAILED_PRECONDITION', 'Precondition check failed.')
  }
}

function refuseByPolicy(account: ServiceAccount, what: 'Creation' | 'Upload'): never {
  const description = `Key ${what.toLowerCase()} is not allowed on this service account.`
  const violation = {
    type: `constraints/iam.disableServiceAccountKey${what}`,
    subject: `projects/${account.project}/serviceAccounts/${account.email}?configvalue=${account.email}`,
    description,
  }
  return failWith('FAILED_PRECONDITION', description, [
    { '@type': 'type.googleapis.com/google.rpc.PreconditionFailure', violations: [violation] },
  ])
}

function withPublicKey(account: ServiceAccount, key: AccountKey, pem: string): Reply {
  const publicKeyData = Buffer.from(pem).toString('base64')
  return jsonReply({ ...describe(account, key), publicKeyData })
}

function describe(account: ServiceAccount, key: AccountKey): JsonObject {
  return {
    name: `projects/${account.project}/serviceAccounts/${account.email}/keys/${key.id}`,
    validAfterTime: timestamp(key.validAfter),
    validBeforeTime: timestamp(key.validBefore),
    keyAlgorithm: 'KEY_ALG_RSA_2048',
    keyOrigin: key.origin,
    keyType: key.type,
    ...(key.disabled ? { disabled: true } : {}),
  }
}

function onlyQuery(received: Received, known: string): void {
  for (const name of received.query.keys()) {
    if (name !== known) failWith('INVALID_ARGUMENT', `Unknown name "${name}": Cannot bind query parameter.`)
  }
}
