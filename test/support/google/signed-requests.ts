import { createHash, verify } from 'node:crypto'
import type { World } from './world.ts'

/** Whom Cloud Storage takes a signed request for, and what it is about. */
export type SignedRequest = {
  readonly account: string
  readonly bucket: string
  readonly object?: string
}

const V4_ALGORITHM = 'GOOG4-RSA-SHA256'
const V4_SECONDS_MAX = 604_800

/** A signed URL as Cloud Storage judges it (V2 and V4, no header but `host`); `undefined` for one that it refuses. */
export function judgeSignedUrl(world: World, method: string, address: string): SignedRequest | undefined {
  const url = new URL(address)
  const [, bucket = '', ...object] = url.pathname.split('/')
  const account = url.searchParams.has('X-Goog-Signature')
    ? v4Account(world, method, url)
    : v2Account(world, method, url)
  return account === undefined ? undefined : { account, bucket, object: decodeURIComponent(object.join('/')) }
}

// https://cloud.google.com/storage/docs/authentication/canonical-requests
function v4Account(world: World, method: string, url: URL): string | undefined {
  const query = url.search.slice(1).split('&')
  const unsigned = query.filter((pair) => !pair.startsWith('X-Goog-Signature=')).toSorted()
  const { searchParams: given } = url
  const [account = '', date, location, service, ending] = (given.get('X-Goog-Credential') ?? '').split('/')
  const at = given.get('X-Goog-Date') ?? ''
  const expires = Number(given.get('X-Goog-Expires'))
  const begins =
    Date.parse(at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')) / 1000
  const isTimely =
    date === at.slice(0, 8) &&
    expires > 0 &&
    expires <= V4_SECONDS_MAX &&
    begins <= world.now() + 60 &&
    world.now() < begins + expires
  if (!isTimely || given.get('X-Goog-Algorithm') !== V4_ALGORITHM) return undefined
  if (service !== 'storage' || ending !== 'goog4_request' || given.get('X-Goog-SignedHeaders') !== 'host')
    return undefined
  const canonical = [
    method,
    url.pathname,
    unsigned.join('&'),
    `host:${url.host}`,
    '',
    'host',
    'UNSIGNED-PAYLOAD',
  ]
  const digest = createHash('sha256').update(canonical.join('\n')).digest('hex')
  const text = [V4_ALGORITHM, at, [date, location, service, ending].join('/'), digest].join('\n')
  return isSignedBy(world, account, { text, signature: given.get('X-Goog-Signature') ?? '', as: 'hex' })
}

// https://cloud.google.com/storage/docs/access-control/signed-urls-v2
function v2Account(world: World, method: string, url: URL): string | undefined {
  const { searchParams: given } = url
  const expires = given.get('Expires') ?? ''
  if (!(Number(expires) > world.now())) return undefined
  const text = [method, '', '', expires, url.pathname].join('\n')
  const signature = given.get('Signature') ?? ''
  return isSignedBy(world, given.get('GoogleAccessId') ?? '', { text, signature, as: 'base64' })
}

/** The fields of a form with a POST policy, V2 or V4, likewise. */
export function judgePostPolicy(
  world: World,
  fields: Readonly<Record<string, string>>,
): SignedRequest | undefined {
  const { policy: text = '' } = fields
  const { expiration, conditions } = JSON.parse(Buffer.from(text, 'base64').toString()) as {
    expiration: string
    conditions: readonly unknown[]
  }
  if (!(Date.parse(expiration) / 1000 > world.now())) return undefined
  const bucket = conditions
    .map((condition) =>
      Array.isArray(condition)
        ? condition[0] === 'eq' && condition[1] === '$bucket' && String(condition[2])
        : (condition as { bucket?: string }).bucket,
    )
    .find(Boolean)
  const account =
    fields['x-goog-signature'] === undefined
      ? isSignedBy(world, fields['GoogleAccessId'] ?? '', {
          text,
          signature: fields['signature'] ?? '',
          as: 'base64',
        })
      : isSignedBy(world, fields['x-goog-credential']?.split('/')[0] ?? '', {
          text,
          signature: fields['x-goog-signature'],
          as: 'hex',
        })
  return account === undefined || !bucket ? undefined : { account, bucket }
}

function isSignedBy(
  world: World,
  account: string,
  {
    text,
    signature,
    as,
  }: { readonly text: string; readonly signature: string; readonly as: 'hex' | 'base64' },
): string | undefined {
  const found = world.accounts.find(account)
  const isSigned = found?.keys
    .verifiers()
    .some(({ publicKey }) => verify('sha256', Buffer.from(text), publicKey, Buffer.from(signature, as)))
  return found !== undefined && !found.disabled && isSigned === true ? found.email : undefined
}
