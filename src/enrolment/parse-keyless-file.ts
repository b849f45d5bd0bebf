import { fault, type Fault, type Result } from '../domain/result.ts'
import { credentialName, type CredentialSecret } from '../domain/credential.ts'
import type { Members } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import { isServiceAccountEmail } from '../domain/google.ts'
import { faultsOf, textMember, type CredentialFileJudgement } from './credential-file.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Google names no limit; a longer chain is a mistake. */
const delegatesMax = 10
const googleUrl = /^https:\/\/iamcredentials\.googleapis\.com\//
const resourceName = /^projects\/-\/serviceAccounts\//

/**
 * Whom to act as: our own form, or Google's file of type `impersonated_service_account`. Of that one the account and
 * the delegates are taken and nothing else: its address is never called (P29), and a secret in its
 * `source_credentials` is not kept. The source is a credential enrolled here, named in `source`.
 */
export function parseImpersonation(file: Members, scopes: unknown): CredentialFileJudgement {
  const isGoogles = file['type'] === 'impersonated_service_account'
  const account = isGoogles ? accountInUrl(file) : emailMember(file)
  const delegates = delegatesMember(file)
  const source = sourceMember(file)
  const faults = [
    ...faultsOf(account, delegates, source),
    ...(isGoogles ? [] : unknownMembers(file, ['type', 'service_account', 'delegates', 'source'])),
    ...scopeFaults(scopes),
  ]
  if (faults.length > 0 || !account.ok || !delegates.ok || !source.ok) return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'impersonation',
    serviceAccount: account.value,
    delegates: delegates.value,
  }
  const credential = { upstream: 'google', secret, identity: account.value }
  return {
    ok: true,
    credential: { ...credential, ...omitUndefined({ source: source.value }) },
    ignored: isGoogles ? ignoredMembers(file) : [],
  }
}

/** Whatever the platform says the broker is; there is nothing to keep. */
export function parseBrokerIdentity(file: Members, scopes: unknown): CredentialFileJudgement {
  const faults = [...unknownMembers(file, ['type']), ...scopeFaults(scopes)]
  if (faults.length > 0) return { ok: false, faults }
  return {
    ok: true,
    credential: { upstream: 'google', secret: { kind: 'broker_identity' }, identity: 'broker' },
    ignored: [],
  }
}

/** A key as its console shows it; `key_id`, where there is one, tells keys apart without showing them. */
export function parseApiKey(file: Members, scopes: unknown): CredentialFileJudgement {
  const key = textMember(file, 'key')
  const keyId = file['key_id'] === undefined ? undefined : textMember(file, 'key_id')
  const faults = [
    ...faultsOf(key, ...(keyId === undefined ? [] : [keyId])),
    ...unknownMembers(file, ['type', 'key', 'key_id']),
    ...scopeFaults(scopes),
  ]
  if (faults.length > 0 || !key.ok) return { ok: false, faults }
  const secret: CredentialSecret = { kind: 'api_key', key: new Secret(key.value) }
  const credential = { upstream: 'google', secret, identity: 'API key' }
  return {
    ok: true,
    credential: { ...credential, ...(keyId?.ok === true && { keyId: keyId.value }) },
    ignored: [],
  }
}

function emailMember(file: Members): Result<string> {
  const email = textMember(file, 'service_account')
  if (!email.ok || isServiceAccountEmail(email.value)) return email
  return memberFault('service_account', "is no service account's e-mail address")
}

/** The account that Google's file names at the end of an address. */
function accountInUrl(file: Members): Result<string> {
  const member = 'service_account_impersonation_url'
  const url = textMember(file, member)
  if (!url.ok) return url
  const account = /\/serviceAccounts\/(?<account>[^/:]+):generateAccessToken$/.exec(url.value)?.groups?.[
    'account'
  ]
  return account !== undefined && isServiceAccountEmail(account)
    ? { ok: true, value: account }
    : memberFault(member, 'must end in /serviceAccounts/EMAIL:generateAccessToken')
}

/** E-mail addresses, or Google's resource names that end in one. */
function delegatesMember({ delegates = [] }: Members): Result<readonly string[]> {
  const listed: readonly unknown[] | undefined = Array.isArray(delegates) ? delegates : undefined
  const emails = listed?.map((one) => (typeof one === 'string' ? one.replace(resourceName, '') : ''))
  if (emails === undefined || emails.length > delegatesMax || !emails.every(isServiceAccountEmail))
    return memberFault(
      'delegates',
      `must be a list of at most ${delegatesMax} service accounts' e-mail addresses`,
    )
  return { ok: true, value: emails }
}

function sourceMember({ source }: Members): Result<string | undefined> {
  if (source === undefined) return { ok: true, value: undefined }
  if (typeof source === 'string' && credentialName.test(source)) return { ok: true, value: source }
  return memberFault('source', 'must be the name of a credential')
}

function ignoredMembers(file: Members): readonly string[] {
  const url = file['service_account_impersonation_url']
  return [
    ...(typeof url === 'string' && googleUrl.test(url) ? [] : ['service_account_impersonation_url']),
    ...(file['source_credentials'] === undefined ? [] : ['source_credentials']),
  ]
}

/** A misspelt `source` would otherwise mean the broker's own identity. */
function unknownMembers(file: Members, known: readonly string[]): readonly string[] {
  const isMore = Object.keys(file).some((member) => !known.includes(member))
  return isMore ? [`secret: may have the members ${known.join(', ')} only`] : []
}

function scopeFaults(scopes: unknown): readonly string[] {
  return scopes === undefined
    ? []
    : ['scopes: were not consented for this kind of credential; limit it by the rules of the policy']
}

function memberFault(member: string, why: string): Fault {
  return fault(`secret.${member}: ${why}`)
}
