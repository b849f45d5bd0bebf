import { createFederatedSource } from '../../adapters/google-identity/federated-identity.ts'
import { createMetadataSource, createOwnIdentity } from '../../adapters/google-identity/own-identity.ts'
import { createSignAssertion, parseSigningKeys } from '../../adapters/google-identity/signing-keys.ts'
import { isBrokerError } from '../../domain/broker-error.ts'
import { cloudPlatformScope, jwtBearerGrant } from '../../domain/google.ts'
import { isMembers } from '../../domain/json.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { createIamKeys } from '../../google/iam-keys.ts'
import { createKmsClient, unwrapKey, wrapKey } from '../../google/kms.ts'
import { importAssertionKey, signAssertion } from '../../google/service-account-key.ts'
import { base64Of, decodeBase64 } from '../../domain/pem.ts'
import { Secret } from '../../domain/secret.ts'
import { createPerson } from '../terminal.ts'
import { boundaryChecks } from './boundary-checks.ts'
import { ask, askForm, notRun, poll } from './google-project.ts'
import { make, ttlUrl } from './journal.ts'
import {
  makesAccount,
  readOnly,
  type Check,
  type CheckOptions,
  type Reached,
  type Scene,
} from './live-scene.ts'

export const readWrite = 'https://www.googleapis.com/auth/devstorage.read_write'

export const checks: readonly Check[] = [
  {
    name: 'impersonation',
    claim: 'IAM Credentials issues a token of a service account to whoever has the role, for an hour',
    creates: [makesAccount],
    run: async ({ account: accountOf, tokenOf }) => {
      const { token, seconds } = await tokenOf(await accountOf(), [readOnly])
      const life = token.expiresAt - token.issuedAt
      return {
        isAsMeant: life > 3000 && life <= 3660,
        saw: `a token for ${life} s; the role worked after ${seconds} s`,
      }
    },
  },
  {
    name: 'key-upload',
    claim: 'a certificate that is uploaded becomes a key whose assertions are taken within 60 seconds',
    creates: [makesAccount, 'a key of that account, whose private half is in memory alone'],
    run: proveUpload,
  },
  {
    name: 'error-bodies',
    claim: 'refusals have the codes and texts by which the broker tells them apart',
    creates: [],
    run: proveErrors,
  },
  ...boundaryChecks,
  {
    name: 'federation',
    claim: "a pool provider with the broker's keys takes its assertion, and Google's services take the token",
    creates: ['a workload identity pool with one provider (its name stays reserved for 30 days)'],
    run: proveFederation,
  },
  {
    name: 'kms',
    claim: 'Cloud KMS wraps and unwraps data keys with checksums, and refuses what was changed',
    creates: [
      'a version of the key of --kms-key, not its primary, which is scheduled for destruction at the end',
    ],
    run: proveKms,
  },
  {
    name: 'firestore-ttl',
    claim: 'Firestore takes a TTL policy on the field expiresAt and applies it',
    creates: ['a TTL policy on a collection group of this run, in which there is no document'],
    run: proveTtl,
  },
  {
    name: 'metadata-scopes',
    claim: '`?scopes=` of the metadata server narrows the token (Cloud Run, not Compute Engine)',
    creates: [],
    run: proveMetadata,
  },
  {
    name: 'refresh-token-narrowing',
    claim:
      'a refresh token gives exactly the consented scopes that are asked for, and none that they only imply',
    creates: ['a consent of your account for the client of --oauth-client, which the next check ends'],
    run: proveNarrowing,
  },
  {
    name: 'revocation',
    claim: 'revoking an access token ends the whole grant',
    creates: ['the same consent; it is revoked'],
    run: proveRevocation,
  },
]

async function proveUpload(scene: Scene): Promise<Reached> {
  const { google } = scene
  const { http, clock, urls } = google
  const email = await scene.account()
  const { privateKey, certificate } = await scene.keyPair()
  const key = await importAssertionKey(privateKey, () => new TypeError('a key that was just made'))
  const iamKeys = createIamKeys({ http, iamUrl: urls.iamUrl })
  const owner = { email, token: await google.operator.token() }
  const mark = google.entropy.uuid()
  const { name } = await make(google, { kind: 'key', name: email, mark }, async () => {
    const uploaded = await iamKeys.upload(owner, certificate)
    if (!uploaded.ok && uploaded.kind === 'unknown') throw notRun(uploaded.reason)
    if (!uploaded.ok) return { status: 400, members: {}, error: undefined, said: uploaded.reason }
    const members = { name: `projects/-/serviceAccounts/${email}/keys/${uploaded.value}` }
    return { status: 200, members, error: undefined, said: '200' }
  })
  const keyId = String(name).replace(/^.*\//, '')
  let said = ''
  const taken = await poll(clock, 180, async () => {
    const assertion = await signAssertion(
      { clientEmail: email, keyId, key },
      { scope: readOnly },
      clock.now(),
    )
    const form = { grant_type: jwtBearerGrant, assertion: assertion.reveal() }
    const result = await askForm(google, urls.oauthTokenUrl, form)
    said = result.said
    return result.status === 200 ? true : undefined
  })
  const listed = await iamKeys.list(owner)
  const isListed = listed.ok && listed.value.some(({ id, isUploaded }) => id === keyId && isUploaded)
  if (taken === undefined) return { isAsMeant: false, saw: `not taken within 180 s: ${said}` }
  return {
    isAsMeant: taken.seconds <= 60 && isListed,
    saw: `taken after ${taken.seconds} s, ${isListed ? 'listed' : 'not listed'} as uploaded`,
  }
}

async function proveErrors(scene: Scene): Promise<Reached> {
  const { google } = scene
  const { urls, clock, entropy, project } = google
  const nobody = `no-${entropy.uuid().slice(0, 20)}@${project}.iam.gserviceaccount.com`
  const { privateKey } = await scene.keyPair()
  const key = await importAssertionKey(privateKey, () => new TypeError('a key that was just made'))
  const assertion = await signAssertion(
    { clientEmail: nobody, keyId: 'none', key },
    { scope: readOnly },
    clock.now(),
  )
  const exchange = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'e30.e30.e30',
  }
  const token = new Secret('ya29.no-token-at-all')
  const acting = `${urls.iamCredentialsUrl}/v1/projects/-/serviceAccounts/${nobody}:generateAccessToken`
  const told = [
    [
      'an account that does not exist',
      await askForm(google, urls.oauthTokenUrl, {
        grant_type: jwtBearerGrant,
        assertion: assertion.reveal(),
      }),
      [400, 'invalid_grant'],
    ],
    [
      'a pool that does not exist',
      await askForm(google, urls.stsTokenUrl, {
        ...exchange,
        audience:
          '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/none/providers/none',
        scope: cloudPlatformScope,
        requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      }),
      [400, 'invalid_target'],
    ],
    [
      'revoking no token',
      await askForm(google, urls.revokeUrl, { token: token.reveal() }),
      [400, 'invalid_token'],
    ],
    [
      'tokeninfo of no token',
      await askForm(google, urls.tokeninfoUrl, { access_token: token.reveal() }),
      [400, 'invalid_token'],
    ],
    [
      'acting as nobody',
      await ask(google, acting, { method: 'POST', json: { scope: [readOnly] } }),
      [403, 'PERMISSION_DENIED'],
    ],
    [
      'no token at an API',
      await ask(google, acting, { method: 'POST', json: { scope: [readOnly] }, token }),
      [401, 'UNAUTHENTICATED'],
    ],
  ] as const
  const otherwise = told.filter(([, { status, error }, [code, name]]) => status !== code || error !== name)
  return {
    isAsMeant: otherwise.length === 0,
    saw: told
      .map(([what, { status, error }]) => `${what}: ${status} ${error ?? 'without a code'}`)
      .join(', '),
  }
}

async function proveFederation({ google }: Scene): Promise<Reached> {
  const { project, run, urls, clock, entropy } = google
  const issuer = `https://downscope-${run}.example.com`
  const { privateJwk } = createPerson(issuer)
  const keys = parseSigningKeys(JSON.stringify({ keys: [privateJwk] }))
  if (!keys.ok) throw new TypeError('keys that were just made')
  const [{ published }] = keys.value
  const pool = `projects/${project}/locations/global/workloadIdentityPools/downscope-${run}`
  const mark = `downscope doctor --live, ${entropy.uuid()}`
  await make(google, { kind: 'identity pool', name: pool, mark }, () =>
    ask(google, `${urls.iamUrl}/v1/${pool.replace(/\/[^/]+$/, '')}?workloadIdentityPoolId=downscope-${run}`, {
      method: 'POST',
      json: { displayName: 'downscope doctor --live', description: mark },
    }),
  )
  const made = await poll(clock, 120, async () => {
    const { status, members } = await ask(google, `${urls.iamUrl}/v1/${pool}`)
    return status === 200 && typeof members['name'] === 'string' ? members['name'] : undefined
  })
  if (made === undefined) throw notRun('the pool is not there after 120 s')
  const jwksJson = JSON.stringify({ keys: [{ ...published, use: 'sig' }] })
  // In the pool, and gone with it.
  const provider = await ask(
    google,
    `${urls.iamUrl}/v1/${pool}/providers?workloadIdentityPoolProviderId=broker`,
    {
      method: 'POST',
      json: {
        attributeMapping: { 'google.subject': 'assertion.sub' },
        oidc: { issuerUri: issuer, jwksJson },
      },
    },
  )
  if (provider.status !== 200) throw notRun(`the provider could not be made: ${provider.said}`)
  const audience = `//iam.googleapis.com/${made.value}/providers/broker`
  const source = createFederatedSource({
    ...google,
    signAssertion: createSignAssertion({ ...google, keys: keys.value, issuer, provider: audience }),
    provider: audience,
    serviceAccount: undefined,
    stsUrl: urls.stsTokenUrl,
    iamCredentialsUrl: urls.iamCredentialsUrl,
  })
  let said = ''
  const token = await poll(clock, 120, async () => {
    try {
      return await source.accessToken([cloudPlatformScope])
    } catch (error) {
      if (!isBrokerError(error)) throw error
      said = error.reason
      return undefined
    }
  })
  if (token === undefined) return { isAsMeant: false, saw: `not taken within 120 s: ${said}` }
  const used = await ask(google, `${urls.iamUrl}/v1/${pool}`, { token: token.value.token })
  return {
    isAsMeant: used.status === 403 || used.status === 200,
    saw: `a token after ${token.seconds} s; IAM knows its principal and answers ${used.status}`,
  }
}

async function proveKms({ google }: Scene, { kmsKey }: CheckOptions): Promise<Reached> {
  if (kmsKey === undefined) throw notRun('no key was named: --kms-key')
  const { urls, entropy, clock } = google
  const mark = entropy.uuid()
  const { name } = await make(google, { kind: 'key version', name: kmsKey, mark }, () =>
    ask(google, `${urls.kmsUrl}/v1/${kmsKey}/cryptoKeyVersions`, { method: 'POST', json: {} }),
  )
  const version = String(name)
  const isEnabled = await poll(clock, 60, async () =>
    (await ask(google, `${urls.kmsUrl}/v1/${version}`)).members['state'] === 'ENABLED' ? true : undefined,
  )
  if (isEnabled === undefined) throw notRun('the version is not enabled after 60 s')
  const clientOf = (cryptoKey: string) =>
    createKmsClient({ ...google, cryptoKey, kmsUrl: urls.kmsUrl, accessToken: google.operator.token })
  const dataKey = entropy.octets(32)
  const wrapped = await wrapKey(clientOf(version), kmsKey, dataKey)
  if (!wrapped.ok) return kmsFailure('wrapping', wrapped)
  const opened = await unwrapKey(clientOf(kmsKey), wrapped.value.wrapped, dataKey.length)
  if (!opened.ok) return kmsFailure('unwrapping', opened)
  const changed = decodeBase64(wrapped.value.wrapped) ?? new Uint8Array()
  changed.set([(changed.at(-1) ?? 0) ^ 1], changed.length - 1)
  const spoilt = await unwrapKey(clientOf(kmsKey), base64Of(changed), dataKey.length)
  const isSame = base64Of(opened.value) === base64Of(dataKey)
  const isByVersion = wrapped.value.version === version
  return {
    isAsMeant: isSame && isByVersion && !spoilt.ok && spoilt.isRefusal,
    saw:
      `${decodeBase64(wrapped.value.wrapped)?.length ?? 0} octets wrapped by ${isByVersion ? 'the new' : 'another'} version, ` +
      `${isSame ? 'unwrapped as they were' : 'unwrapped as others'}; changed: ${spoilt.ok ? 'unwrapped' : 'refused'}`,
  }
}

function kmsFailure(
  what: string,
  { isRefusal, error }: { isRefusal: boolean; error: { reason: string } },
): Reached {
  if (!isRefusal && /answered (?:429|5\d\d)|timeout/.test(error.reason)) throw notRun(error.reason)
  return { isAsMeant: false, saw: `${what}: ${error.reason}` }
}

async function proveTtl({ google }: Scene, { database }: CheckOptions): Promise<Reached> {
  const { project, run, entropy, clock } = google
  const field = `projects/${project}/databases/${database}/collectionGroups/downscope-doctor-${run}/fields/expiresAt`
  await make(google, { kind: 'TTL policy', name: field, mark: entropy.uuid() }, () =>
    ask(google, ttlUrl(google, field), { method: 'PATCH', json: { name: field, ttlConfig: {} } }),
  )
  let state = 'none'
  const applied = await poll(clock, 300, async () => {
    const { members } = await ask(google, ttlUrl(google, field).replace(/\?.*$/, ''))
    const config = members['ttlConfig']
    state = isMembers(config) && typeof config['state'] === 'string' ? config['state'] : 'none'
    return state === 'CREATING' || state === 'ACTIVE' ? state : undefined
  })
  return {
    isAsMeant: applied !== undefined,
    saw:
      applied === undefined
        ? `after 300 s its state is ${state}`
        : `${applied.value} after ${applied.seconds} s`,
  }
}

async function proveMetadata({ google }: Scene, { metadataHost }: CheckOptions): Promise<Reached> {
  const source = createMetadataSource({ ...google, ...omitUndefined({ host: metadataHost }) })
  try {
    const own = createOwnIdentity({
      ...google,
      source,
      acting: google.operator.token,
      tokeninfoUrl: google.urls.tokeninfoUrl,
    })
    const { scopes = [] } = await own.accessToken([readOnly])
    return {
      isAsMeant: scopes.length === 1 && scopes[0] === readOnly,
      saw: `asked for devstorage.read_only, given ${shortNames(scopes.join(' '))}`,
    }
  } catch (error) {
    if (!isBrokerError(error)) throw error
    throw notRun(`there is no metadata server here: ${error.reason}`)
  }
}

async function proveNarrowing({ google }: Scene, { consent }: CheckOptions): Promise<Reached> {
  const grant = await consent()
  const narrowed = await grant.refresh(readWrite)
  if (narrowed.token === undefined) throw notRun(`a consented scope alone: ${narrowed.said}`)
  const info = await askForm(google, google.urls.tokeninfoUrl, { access_token: narrowed.token.reveal() })
  const carried = typeof info.members['scope'] === 'string' ? info.members['scope'] : ''
  const implied = await grant.refresh(readOnly)
  return {
    isAsMeant: carried === readWrite && implied.token === undefined && implied.error === 'invalid_scope',
    saw: `one of the consented scopes: ${shortNames(carried)}; one that it implies: ${implied.said}`,
  }
}

async function proveRevocation({ google }: Scene, { consent }: CheckOptions): Promise<Reached> {
  const grant = await consent()
  const { token, said } = await grant.refresh()
  if (token === undefined) throw notRun(`no access token to revoke: ${said}`)
  const revoked = await askForm(google, google.urls.revokeUrl, { token: token.reveal() })
  if (revoked.status !== 200) return { isAsMeant: false, saw: `revoking: ${revoked.said}` }
  const dead = await poll(google.clock, 60, async () => {
    const after = await grant.refresh()
    return after.token === undefined ? after : undefined
  })
  if (dead !== undefined) grant.ended()
  return {
    isAsMeant: dead?.value.error === 'invalid_grant',
    saw:
      dead === undefined
        ? 'the refresh token works on'
        : `the refresh token after ${dead.seconds} s: ${dead.value.said}`,
  }
}

function shortNames(scope: string): string {
  return scope.replaceAll(/\S*\//g, '')
}
