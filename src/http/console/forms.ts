import { BrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import { parseForm, type Form, readBody, textOf } from '../parse-form.ts'
import { openSealed } from '../../domain/open-sealed.ts'

/** The hidden field that every form of ours carries. */
export const formTokenField = 'form_token'

/**
 * Throws `admin_forbidden` for a form that comes from another site: before role and fields are looked at, and whatever
 * else it carries. Browsers send `Origin` with every POST; a request without it must not say that it crossed sites.
 */
export function refuseForeignForm({ headers }: Request, issuer: string): void {
  const origin = headers.get('origin')
  const site = headers.get('sec-fetch-site')
  const isForeign =
    origin === null ? site !== null && site !== 'same-origin' : origin !== new URL(issuer).origin
  if (isForeign) throw forged('comes from another site')
}

/** The fields of a form that carries `token`; throws `admin_forbidden` for any other, and for a foreign one. */
export async function ownForm(request: Request, issuer: string, token: string): Promise<Form> {
  refuseForeignForm(request, issuer)
  const form = await readForm(request)
  if (form.get(formTokenField) !== token) throw forged('does not carry the token of this session')
  return form
}

/** Throws `request_malformed` and `request_too_large`. */
export async function readForm(request: Request, bytesMax?: number): Promise<Form> {
  return parseForm({
    contentType: request.headers.get('content-type'),
    text: textOf(await readBody(request, bytesMax)),
  })
}

export function forged(why: string): BrokerError {
  return new BrokerError('admin_forbidden', { reason: `a form ${why}`, condition: 'form' })
}

/** Whom a form was made for, sealed: what they typed is theirs, whatever becomes of the session (T24). */
export const formForField = 'form_for'
/** What was typed into a form, sealed for one person. */
export const keptField = 'kept'

const neverKept: ReadonlySet<string> = new Set([
  formTokenField,
  formForField,
  keptField,
  'jwt',
  'started',
  'act',
])

export interface SealingDeps {
  readonly issuer: string
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
}

interface Owner {
  /** As `ISSUER/SUBJECT`. */
  readonly who: string
  /** Of the session that the form was made in. */
  readonly token: string
}

export function sealOwner({ issuer, keyRing }: SealingDeps, { who, token }: Owner): Promise<string> {
  return keyRing.seal(new Secret(JSON.stringify([who, token])), ownerPlace(issuer))
}

/** Whom a form of ours was made for; `undefined` for any other form. */
export async function ownerOf(deps: SealingDeps, form: Form): Promise<string | undefined> {
  const text = await openSealed(deps.keyRing, form.get(formForField) ?? '', ownerPlace(deps.issuer))
  const [who, token] = text === undefined ? [] : (JSON.parse(text) as [string, string])
  return token !== undefined && token === form.get(formTokenField) ? who : undefined
}

/** The fields of a form without what is secret, or of one session alone. */
export function typedIn(form: Form): Form {
  return new Map([...form].filter(([name]) => !neverKept.has(name)))
}

/** For the same person alone. */
export function sealTyped({ issuer, keyRing }: SealingDeps, form: Form, who: string): Promise<string> {
  const typed = JSON.stringify(Object.fromEntries(typedIn(form)))
  return keyRing.seal(new Secret(typed), typedPlace(issuer, who))
}

export async function openTyped(deps: SealingDeps, sealed: string, who: string): Promise<Form | undefined> {
  const text = await openSealed(deps.keyRing, sealed, typedPlace(deps.issuer, who))
  const members = text === undefined ? undefined : parseJsonObject(text)
  if (members === undefined) return undefined
  return new Map(Object.entries(members).map(([name, value]) => [name, String(value)]))
}

function ownerPlace(issuer: string): string {
  return `form/console-for#${issuer}`
}

function typedPlace(issuer: string, who: string): string {
  return `form/console-kept#${issuer}#${who}`
}
