import { encodeBoundary, readSessionKey, sealText } from '../../boundaries/seal-boundary.ts'
import { importNodeAesGcmKey } from '../../adapters/system/node-crypto.ts'
import type { AccessBoundary } from '../../domain/access-boundary.ts'
import { isBrokerError } from '../../domain/broker-error.ts'
import { cloudPlatformScope } from '../../domain/google.ts'
import type { Members } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import { later, seconds } from '../../domain/time.ts'
import type { MintedToken } from '../../domain/token.ts'
import { iamCredentialsUrl, readGeneratedToken } from '../../google/iam-credentials.ts'
import { createExchangeBoundary, createGetIntermediary } from '../../google/sts.ts'
import { createSendWithRetry } from '../../oauth/send-with-retry.ts'
import { createKeyPairs, type NewKeyPair } from '../../rotation/key-pair.ts'
import { ask, askForm, notRun, poll, type GoogleProject, type Reply } from './google-project.ts'
import type { Consent } from './consent.ts'
import { accountPolicy, bucketPolicy, make, revisePolicy } from './journal.ts'

/** One thing that was never run against Google: a name, what is made for it, and how it is tried out. */
export interface Check {
  readonly name: string
  /** What is taken for granted until it was run. */
  readonly claim: string
  readonly creates: readonly string[]
  readonly run: (scene: Scene, options: CheckOptions) => Promise<Reached>
}

export interface CheckOptions {
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K` */
  readonly kmsKey: string | undefined
  readonly database: string
  readonly metadataHost: string | undefined
  /** Whose intermediary token is tried out; default the account of this run. */
  readonly email: string | undefined
  /** What a person consented to for this run; throws `notRun` where there is no client to ask as. */
  readonly consent: () => Promise<Consent>
}

export const readOnly = 'https://www.googleapis.com/auth/devstorage.read_only'
/** What checks that need an account create. */
export const makesAccount = 'a service account, which you may act as (roles/iam.serviceAccountTokenCreator)'

/** What several checks stand on: made when the first of them needs it, and once. */
export interface Scene {
  readonly google: GoogleProject
  /** A service account of this run, which the operator may act as. */
  readonly account: () => Promise<string>
  /** A token of that account, and how long the operator's permission took to work. */
  readonly tokenOf: (
    email: string,
    scopes: readonly string[],
  ) => Promise<{ readonly token: MintedToken; readonly seconds: number }>
  /** Of cloud-platform, with which that account reads both objects: what every boundary is compared with. */
  readonly sourceOf: (email: string) => Promise<MintedToken>
  readonly keyPair: () => Promise<NewKeyPair>
  readonly exchange: (source: MintedToken, boundary?: AccessBoundary) => Promise<Exchanged>
  /** An intermediary token of that account, bare, and with the boundary sealed behind it. */
  readonly sealed: (email: string) => Promise<{ readonly bare: Secret; readonly token: Secret }>
  /** What the boundary has to allow and to forbid, tried out with the token. */
  readonly reach: (token: Secret) => Promise<Reached>
  /** The operator's own token: what the account may not do anyway, such as listing machines, is told by that one. */
  readonly operatorSource: () => Promise<MintedToken>
  /** Services beside Cloud Storage that answer the source and so could have answered the token. */
  readonly reachBeyond: (token: Secret, source: MintedToken, isOperators?: boolean) => Promise<Reached>
}

type Exchanged =
  | { readonly ok: true; readonly token: MintedToken }
  | { readonly ok: false; readonly reason: string }

export interface Reached {
  readonly isAsMeant: boolean
  readonly saw: string
}

/** A new grant works after two minutes as a rule, and after seven at worst (docs/google.md §3.1). */
const grantSecondsMax = 480
const visibleSecondsMax = 60
const mintMs = 20_000

export function createScene(google: GoogleProject): Scene {
  const { project, bucket, run, urls, clock, entropy, http } = google
  const prefix = `downscope-doctor/${run}/`
  const [inside, beside] = [`${prefix}in/one`, `${prefix}in2/one`]
  const send = createSendWithRetry({ http, clock, entropy })
  const sts = { ask: send, clock, stsUrl: urls.stsTokenUrl }
  const objectUrl = (name: string) =>
    `${urls.apis('storage')}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`
  const listUrl = (under: string) =>
    `${urls.apis('storage')}/storage/v1/b/${bucket}/o?prefix=${encodeURIComponent(under)}`
  const task = () => ({ grant: { credential: { name: run } }, deadlineMs: clock.steadyMs() + mintMs })

  const account = once(async () => {
    const email = `downscope-${run}@${project}.iam.gserviceaccount.com`
    const name = `projects/${project}/serviceAccounts/${email}`
    const mark = `downscope doctor --live, ${entropy.uuid()}`
    await make(google, { kind: 'service account', name, mark }, () =>
      ask(google, `${urls.iamUrl}/v1/projects/${project}/serviceAccounts`, {
        method: 'POST',
        json: {
          accountId: `downscope-${run}`,
          serviceAccount: { displayName: 'downscope doctor --live', description: mark },
        },
      }),
    )
    const operator = await principal(google)
    const written = await untilVisible(clock, () =>
      revisePolicy(google, accountPolicy(google, email), (bindings) => [
        ...bindings,
        { role: 'roles/iam.serviceAccountTokenCreator', members: [operator] },
        { role: 'roles/iam.serviceAccountViewer', members: [`serviceAccount:${email}`] },
      ]),
    )
    if (written.status !== 200)
      throw notRun(`the role to act as the new account could not be given: ${written.said}`)
    return email
  })

  const tokenOf: Scene['tokenOf'] = async (email, scopes) => {
    let said = ''
    const isNew = email.startsWith(`downscope-${run}@`)
    const found = await poll(clock, isNew ? grantSecondsMax : 0, async () => {
      const url = iamCredentialsUrl(urls.iamCredentialsUrl, email, 'generateAccessToken')
      const json = { scope: scopes, lifetime: '3600s' }
      const issuedAt = clock.now()
      const reply = await ask(google, url, { method: 'POST', json })
      said = reply.said
      if (reply.status === 403 || reply.status === 404) return undefined
      if (reply.status !== 200) throw notRun(`generateAccessToken answered ${said}`)
      const read = readGeneratedToken(reply.members)
      if (!read.ok) throw unexpected(`generateAccessToken: the answer has ${read.fault}`)
      const { token: secret, endsAt: expiresAt } = read.value
      const token: MintedToken = {
        secret,
        tokenType: 'access_token',
        scopes,
        drawnFrom: [],
        issuedAt,
        expiresAt,
      }
      return token
    })
    if (found === undefined)
      throw notRun(`you may not act as the account: generateAccessToken answered ${said}`)
    return { token: found.value, seconds: found.seconds }
  }

  const objects = once(async () => {
    for (const name of [inside, beside]) await makeObject(google, name)
  })

  const sourceOf = keyed(async (email: string) => {
    const { token } = await tokenOf(email, [cloudPlatformScope])
    await objects()
    await grantOnBucket(google, email, prefix)
    let said = ''
    const works = await poll(clock, grantSecondsMax, async () => {
      for (const url of [objectUrl(inside), objectUrl(beside), listUrl(prefix)]) {
        const reply = await ask(google, url, { token: token.secret })
        said = reply.said
        if (reply.status !== 200) return undefined
      }
      return true
    })
    if (works === undefined) throw notRun(`the account cannot read the objects of this run: ${said}`)
    return token
  })

  const boundary: AccessBoundary = [
    {
      availableResource: `//storage.googleapis.com/projects/_/buckets/${bucket}`,
      availablePermissions: ['inRole:roles/storage.objectViewer'],
      availabilityCondition: {
        expression:
          `resource.name.startsWith('projects/_/buckets/${bucket}/objects/${prefix}in/') || ` +
          `api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${prefix}in/')`,
      },
    },
  ]

  return {
    google,
    account,
    tokenOf,
    sourceOf,
    keyPair: once(() => createKeyPairs({ clock, entropy })('downscope doctor')),
    exchange: async (source, asked = boundary) => {
      const exchange = createExchangeBoundary(sts)
      try {
        const bounded = await exchange({ ...task(), source, boundary: asked })
        if (bounded.kind === 'bounded') return { ok: true, token: bounded.token }
        return { ok: false, reason: bounded.error.reason }
      } catch (error) {
        return { ok: false, reason: reasonOf(error) }
      }
    },
    sealed: async (email) => {
      const source = await sourceOf(email)
      try {
        const { token, sessionKey } = await createGetIntermediary(sts)({ ...task(), source })
        const read = readSessionKey(sessionKey.reveal())
        if (!read.ok) throw unexpected(`the session key cannot be used: ${read.fault}`)
        const plaintext = encodeBoundary(boundary) ?? new Uint8Array()
        const encrypt = importNodeAesGcmKey(read.value.key)
        const suffix = await sealText(plaintext, {
          prefix: read.value.prefix,
          encrypt,
          nonce: entropy.octets(12),
        })
        return { bare: token, token: new Secret(`${token.reveal()}.${suffix}`) }
      } catch (error) {
        throw isUnexpected(error) ? error : unexpected(reasonOf(error))
      }
    },
    reach: async (token) => {
      const told = [
        ['read inside', true, await ask(google, objectUrl(inside), { token })],
        ['list inside', true, await ask(google, listUrl(`${prefix}in/`), { token })],
        ['read beside', false, await ask(google, objectUrl(beside), { token })],
        ['list beside', false, await ask(google, listUrl(`${prefix}in2/`), { token })],
        ['list all', false, await ask(google, listUrl(''), { token })],
        ['change inside', false, await ask(google, objectUrl(inside), { token, method: 'PATCH', json: {} })],
      ] as const
      return judgeReach(told)
    },
    operatorSource: async () => {
      const [secret, issuedAt] = [await google.operator.token(), clock.now()]
      const scopes = [cloudPlatformScope]
      return {
        secret,
        tokenType: 'access_token',
        scopes,
        drawnFrom: [],
        issuedAt,
        expiresAt: later(issuedAt, seconds(3600)),
      }
    },
    reachBeyond: async (token, source, isOperators = false) => {
      const places = [
        ['IAM', `${urls.iamUrl}/v1/projects/${project}/serviceAccounts/${await account()}`],
        ['BigQuery', `${urls.apis('bigquery')}/bigquery/v2/projects?maxResults=1`],
        ['Compute Engine', `${urls.apis('compute')}/compute/v1/projects/${project}/zones?maxResults=1`],
      ] as const
      const told: (readonly [string, false, Reply])[] = []
      const silent: string[] = []
      for (const [what, url] of places) {
        const control = await ask(google, url, { token: source.secret, isOperators })
        if (control.status === 200) told.push([what, false, await ask(google, url, { token, isOperators })])
        else silent.push(`${what} answers the unbounded token ${control.status} too`)
      }
      if (told.length === 0) throw notRun(silent.join(', '))
      const { isAsMeant, saw } = judgeReach(told)
      return { isAsMeant, saw: [saw, ...silent.map((words) => `not told: ${words}`)].join(', ') }
    },
  }
}

/** Refused is 401 or 403: a 5xx or a 404 says nothing about what the token may do. */
export function judgeReach(told: readonly (readonly [string, boolean, Reply])[]): Reached {
  const unclear = told.find(([, , { status }]) => ![200, 401, 403].includes(status))
  if (unclear !== undefined) throw notRun(`${unclear[0]}: ${unclear[2].said}`)
  return {
    isAsMeant: told.every(([, isAllowed, { status }]) => (status === 200) === isAllowed),
    saw: told.map(([what, , { status }]) => `${what} ${status}`).join(', '),
  }
}

async function makeObject(google: GoogleProject, name: string): Promise<void> {
  const { bucket, urls, entropy } = google
  const mark = entropy.uuid()
  const at = `b/${bucket}/o/${encodeURIComponent(name)}`
  const metadata = JSON.stringify({ name, metadata: { 'downscope-doctor': mark } })
  const boundary = `part-${mark}`
  const part = (type: string, text: string) => `--${boundary}\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`
  const body = `${part('application/json; charset=UTF-8', metadata)}${part('text/plain', 'of downscope doctor --live\n')}--${boundary}--`
  await make(google, { kind: 'object', name: at, mark }, () =>
    // Only where there is none of that name.
    ask(
      google,
      `${urls.apis('storage')}/upload/storage/v1/b/${bucket}/o?uploadType=multipart&ifGenerationMatch=0`,
      { method: 'POST', content: { type: `multipart/related; boundary=${boundary}`, body } },
    ),
  )
}

/** The account may read and change what is under the prefix, and nothing else of the bucket. */
async function grantOnBucket(google: GoogleProject, email: string, prefix: string): Promise<void> {
  const { bucket, entropy, clock } = google
  const title = `downscope-doctor-${entropy.uuid()}`
  const expression =
    `resource.name.startsWith('projects/_/buckets/${bucket}/objects/${prefix}') || ` +
    `api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${prefix}')`
  const binding: Members = {
    role: 'roles/storage.objectUser',
    members: [`serviceAccount:${email}`],
    condition: { title, expression },
  }
  await make(google, { kind: 'bucket grant', name: bucket, mark: title }, () =>
    untilVisible(clock, () =>
      revisePolicy(google, bucketPolicy(google, bucket), (bindings) => [...bindings, binding]),
    ),
  )
}

/** An account that was just made is not known everywhere at once: asked again for a minute. */
async function untilVisible(clock: GoogleProject['clock'], work: () => Promise<Reply>): Promise<Reply> {
  const found = await poll(clock, visibleSecondsMax, async () => {
    const reply = await work()
    const isUnknown = reply.status === 404 || (reply.status === 400 && /does not exist/i.test(reply.said))
    return isUnknown ? undefined : reply
  })
  return found?.value ?? (await work())
}

/** Whom the operator's token speaks for, as IAM names them. */
async function principal(google: GoogleProject): Promise<string> {
  const token = await google.operator.token()
  const { email } = (await askForm(google, google.urls.tokeninfoUrl, {}, token)).members
  if (typeof email !== 'string' || !email.includes('@'))
    throw notRun('tokeninfo does not say whom your token is of: sign in again with the scope userinfo.email')
  return `${email.endsWith('.gserviceaccount.com') ? 'serviceAccount' : 'user'}:${email}`
}

/** Google behaves otherwise than this code takes for granted, in the middle of a check. */
export function unexpected(saw: string): Error {
  return Object.assign(new Error(saw), { name: 'Unexpected' })
}

export function isUnexpected(error: unknown): error is Error {
  return error instanceof Error && error.name === 'Unexpected'
}

/** The reason of a planned failure; of one that passes, that nothing was learned. */
function reasonOf(error: unknown): string {
  if (!isBrokerError(error)) throw error
  if (error.code === 'upstream_unavailable') throw notRun(error.reason)
  return error.reason
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined
  return () => (begun ??= work())
}

function keyed<T>(work: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const begun = new Map<string, Promise<T>>()
  return (key) => {
    const known = begun.get(key) ?? work(key)
    begun.set(key, known)
    return known
  }
}
