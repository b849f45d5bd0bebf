import type { Hono } from 'hono'
import * as z from 'zod/mini'
import { BrokerError, requestMalformed } from '../domain/broker-error.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { scopeSet } from '../domain/scopes.ts'
import {
  bucketPattern,
  bucketResource,
  isPlainObject,
  readJwtPayload,
  readStringToSign,
  signedLifeMax,
  urlMethods,
} from '../domain/signable.ts'
import { formatTimestamp, seconds, type Seconds } from '../domain/time.ts'
import type { ResolvedToken } from '../domain/token.ts'
import type { Exchange } from '../exchange.ts'
import type { Entropy } from '../ports/entropy.ts'
import { jsonAnswer } from './answers.ts'
import { readBody } from './parse-form.ts'
import type { Refuse } from './refuse.ts'
import { jsonBody, parseBearer, type BodyOf } from './route-schemas.ts'

export interface IamRoutesDeps {
  /** With tickets in the place of JWTs, and signatures in the place of tokens. */
  readonly exchangeForIam: Exchange
  readonly entropy: Entropy
  readonly refuse: Refuse
  readonly at: (route: string) => string[]
}

/**
 * Google's IAM Credentials API and `:signUrl`, so that `service_account_impersonation_url` may name the broker. Whoever
 * asks proves it with a JWT or a ticket as Bearer. Source: docs/signing.md, docs/google.md §3.1.
 */
export function addIamRoutes(app: Hono, { exchangeForIam, entropy, refuse, at }: IamRoutesDeps): void {
  app.on('POST', at('/v1/projects/-/serviceAccounts/:account'), async ({ req }) => {
    const requestId = entropy.uuid()
    try {
      const body = await readBody(req.raw)
      const { email, operation } = parseAccount(req.param('account') ?? '')
      const { resolved } = await exchangeForIam({
        requestId,
        parse: () => ({
          proof: { form: 'bearer', assertion: parseBearer(req.header('authorization') ?? null) ?? missing() },
          target: `projects/-/serviceAccounts/${email}`,
          tokenType: operation.tokenType,
          scopes: [],
          ...operation.read({ contentType: req.header('content-type') ?? null, body }, email),
        }),
      })
      return jsonAnswer({ status: 200, text: JSON.stringify(operation.answer(resolved)), requestId })
    } catch (error) {
      return refuse(error, requestId, req.raw)
    }
  })
}

function missing(): never {
  throw new BrokerError('client_assertion_rejected', {
    reason: 'the request has no bearer token',
    publicDetail: 'Authorization must be Bearer with a JWT or with a ticket of /v1/token',
  })
}

/** An address has one `@`, and what follows the last colon is the method. */
function parseAccount(text: string): { readonly email: string; readonly operation: Operation } {
  const end = text.lastIndexOf(':')
  const operation = operations.get(text.slice(end + 1))
  if (end === -1 || operation === undefined)
    throw new BrokerError('not_found', { reason: 'IAM Credentials has no such method here' })
  const email = text.slice(0, end)
  if (email.length > 320) throw requestMalformed('the account is longer than 320 characters')
  return { email, operation }
}

type Asked = Pick<ExchangeRequest, 'scopes' | 'resource' | 'lifetime' | 'toSign'>

interface Operation {
  readonly tokenType: ExchangeRequest['tokenType']
  readonly read: (message: Parameters<BodyOf<unknown>['parse']>[0], email: string) => Partial<Asked>
  readonly answer: (resolved: ResolvedToken) => object
}

/** T4: nobody in between, and nothing that is not understood. */
const delegates = z.optional(z.nullable(z.array(z.string()).check(z.maxLength(0))))
/** Python's and Node's libraries send text. */
const flag = z.optional(z.union([z.boolean(), z.enum(['true', 'false'])]))
const duration = z.string().check(z.regex(/^[1-9]\d{0,8}s$/))
/** RFC 6749 §3.3. */
const scopeToken = /^[!#-[\]-~]+$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/

const accessTokenWanted = z.strictObject({
  scope: z.array(z.string().check(z.regex(scopeToken))).check(z.minLength(1), z.maxLength(100)),
  lifetime: z.optional(duration),
  delegates,
})

const idTokenWanted = z.strictObject({
  audience: z.string().check(z.minLength(1), z.maxLength(2_048)),
  includeEmail: flag,
  useEmailAzp: flag,
  organizationNumberIncluded: z.optional(z.literal(false)),
  delegates,
})

const jwtWanted = z.strictObject({ payload: z.string().check(z.minLength(1)), delegates })

const blobWanted = z.strictObject({ payload: z.string().check(z.regex(base64)), delegates })

const urlWanted = z.strictObject({
  method: z.enum(urlMethods),
  bucket: z.string().check(z.regex(bucketPattern)),
  object: z.string().check(z.minLength(1), z.maxLength(1_024)),
  expiry: z.union([
    z.string().check(z.regex(/^[1-9]\d{0,5}s$/)),
    z.int().check(z.minimum(1), z.maximum(signedLifeMax)),
  ]),
  delegates,
})

/** What each method takes; infra/docs/openapi describes them. */
export const iamBodies = {
  generateAccessToken: accessTokenWanted,
  generateIdToken: idTokenWanted,
  signJwt: jwtWanted,
  signBlob: blobWanted,
  signUrl: urlWanted,
} as const

const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  [
    'generateAccessToken',
    {
      tokenType: 'access_token',
      read: (message) => {
        const { scope, lifetime } = jsonBody(accessTokenWanted).parse(message)
        return { scopes: scopeSet(scope), ...omitUndefined({ lifetime: secondsOf(lifetime) }) }
      },
      answer: ({ token }) => ({
        accessToken: token.secret.reveal(),
        // Python's library takes no fraction of a second.
        expireTime: formatTimestamp(token.expiresAt),
      }),
    },
  ],
  [
    'generateIdToken',
    {
      tokenType: 'id_token',
      read: (message) => ({ resource: jsonBody(idTokenWanted).parse(message).audience }),
      answer: ({ token }) => ({ token: token.secret.reveal() }),
    },
  ],
  [
    'signJwt',
    {
      tokenType: 'signature',
      read: (message, email) => readJwtPayload(jsonBody(jwtWanted).parse(message).payload, email) ?? {},
      answer: (resolved) => ({ keyId: keyIdOf(resolved), signedJwt: resolved.token.secret.reveal() }),
    },
  ],
  [
    'signBlob',
    {
      tokenType: 'signature',
      read: (message) => readStringToSign(atob(jsonBody(blobWanted).parse(message).payload)) ?? {},
      answer: (resolved) => ({ keyId: keyIdOf(resolved), signedBlob: resolved.token.secret.reveal() }),
    },
  ],
  [
    'signUrl',
    {
      tokenType: 'signature',
      read: (message) => {
        const { method, bucket, object, expiry } = jsonBody(urlWanted).parse(message)
        const lifetime = typeof expiry === 'number' ? seconds(expiry) : secondsOf(expiry)
        if (lifetime === undefined || !isPlainObject(object)) return {}
        return {
          resource: bucketResource(bucket),
          toSign: { form: 'url', method, bucket, object, lifetime },
        }
      },
      answer: (resolved) => ({ keyId: keyIdOf(resolved), signedUrl: resolved.token.secret.reveal() }),
    },
  ],
])

function secondsOf(text: string | undefined): Seconds | undefined {
  return text === undefined ? undefined : seconds(Number(text.slice(0, -1)))
}

function keyIdOf({ token }: ResolvedToken): string | undefined {
  return token.signed?.keyId
}
