import * as z from 'zod/mini'
import { iamBodies } from '../../../src/http/iam-routes.ts'
import {
  clientCredentialsGrant,
  tokenExchangeGrant,
  tokenTypeUrns,
} from '../../../src/http/parse-token-request.ts'

// What everybody may ask, described for the OpenAPI document. These parse and answer by hand, for speed and for the
// exact words of their RFCs; test/http/openapi.node.test.ts holds real answers against what is said here.

export interface PublicEndpoint {
  readonly at: `${'GET' | 'POST'} /${string}`
  readonly id: string
  readonly summary: string
  readonly form?: z.ZodMiniType
  /** A JSON body, by a caller's JWT or ticket as Bearer; refusals are Google's errors. */
  readonly json?: z.ZodMiniType
  /** By status; none: 200 without a body. */
  readonly answers: Readonly<Record<number, z.ZodMiniType>>
  /** The statuses of refusals, which are OAuth errors (RFC 6749 §5.2). */
  readonly refuses: readonly number[]
}

const text = z.optional(z.string())
const filled = z.string().check(z.minLength(1))

const proof = {
  subject_token: text,
  subject_token_type: z.optional(
    z.enum([
      'urn:ietf:params:oauth:token-type:jwt',
      tokenTypeUrns.id_token,
      // Where the issuer's entry has accepts: [at+jwt].
      tokenTypeUrns.access_token,
    ]),
  ),
  client_assertion_type: z.optional(z.literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')),
  client_assertion: text,
  client_id: text,
}

const tokenRequest = z.object({
  grant_type: z.enum([tokenExchangeGrant, clientCredentialsGrant]),
  ...proof,
  audience: filled,
  scope: text,
  requested_token_type: z.optional(z.enum(Object.values(tokenTypeUrns))),
  resource: text,
  requested_subject: text,
  requested_lifetime: text,
  options: text,
})

const tokenAnswer = z.object({
  access_token: z.string(),
  issued_token_type: z.enum(Object.values(tokenTypeUrns)),
  token_type: z.enum(['Bearer', 'N_A']),
  expires_in: z.int().check(z.minimum(1)),
  scope: text,
})

const introspectionAnswer = z.object({
  active: z.boolean(),
  username: text,
  scope: text,
  token_type: text,
  iat: z.optional(z.int()),
  exp: z.optional(z.int()),
})

const word = z.enum(['ok', 'fault'])
const readiness = z.object({
  status: word,
  store: word,
  key_ring: word,
  policy: word,
  stopped: z.optional(z.literal(true)),
})
const signIn = z.object({ issuer: z.string(), client_id: z.string(), device_client_id: text })
const metadata = z.looseObject({ issuer: z.string() })

const iamAnswers = {
  generateAccessToken: z.object({ accessToken: filled, expireTime: filled }),
  generateIdToken: z.object({ token: filled }),
  signJwt: z.object({ keyId: filled, signedJwt: filled }),
  signBlob: z.object({ keyId: filled, signedBlob: filled }),
  signUrl: z.object({ keyId: filled, signedUrl: filled }),
} as const

const iamSummaries = {
  generateAccessToken: 'An access token, as IAM Credentials gives it',
  generateIdToken: 'An ID token, as IAM Credentials gives it',
  signJwt: "A JWT of the account's own, for an audience of the policy",
  signBlob: 'The signature of a string-to-sign or POST policy of Cloud Storage, as IAM Credentials gives it',
  signUrl: 'A signed URL of Cloud Storage that the broker builds itself',
} as const

const iamMethods = ['generateAccessToken', 'generateIdToken', 'signJwt', 'signBlob', 'signUrl'] as const

export const publicEndpoints: readonly PublicEndpoint[] = [
  ...iamMethods.map((method) => ({
    at: `POST /v1/projects/-/serviceAccounts/{account}:${method}` as const,
    id: method,
    summary: iamSummaries[method],
    json: iamBodies[method],
    answers: { 200: iamAnswers[method] },
    refuses: [400, 401, 403, 413, 429, 500, 502, 503],
  })),
  {
    at: 'POST /v1/token',
    id: 'exchangeToken',
    summary: 'A short-lived token for a signed JWT (RFC 8693, RFC 7523)',
    form: tokenRequest,
    answers: { 200: tokenAnswer },
    refuses: [400, 401, 413, 429, 500, 502, 503],
  },
  {
    at: 'POST /v1/introspect',
    id: 'introspectToken',
    summary: 'What a token is, for whoever holds it (RFC 7662)',
    form: z.object({ token: filled, token_type_hint: text }),
    answers: { 200: introspectionAnswer },
    refuses: [400, 413, 429, 500, 503],
  },
  {
    at: 'POST /v1/revoke',
    id: 'revokeToken',
    summary:
      'Gives a token back: no instance that can read the store serves it or calls it active 10 s later (RFC 7009)',
    form: z.object({ token: filled, token_type_hint: text, ...proof }),
    answers: {},
    refuses: [400, 401, 413, 429, 500, 503],
  },
  {
    at: 'GET /.well-known/oauth-authorization-server',
    id: 'readMetadata',
    summary: 'Where everything is (RFC 8414)',
    answers: { 200: metadata },
    refuses: [],
  },
  {
    at: 'GET /.well-known/openid-configuration',
    id: 'readOpenIdConfiguration',
    summary: "The metadata of the broker's own assertions; there only where it signs any",
    answers: { 200: metadata },
    refuses: [404, 500, 503],
  },
  {
    at: 'GET /.well-known/jwks.json',
    id: 'readKeys',
    summary: "The public keys of the broker's own assertions; there only where it signs any",
    answers: { 200: z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) }) },
    refuses: [404, 500, 503],
  },
  {
    at: 'GET /v1/sign-in',
    id: 'readSignIn',
    summary: 'Where people sign in, for the command line; 404 where that is not set up',
    answers: { 200: signIn },
    refuses: [404, 500, 503],
  },
  {
    at: 'GET /healthz',
    id: 'readHealth',
    summary: 'Whether the process is alive',
    answers: { 200: z.object({ status: z.literal('ok') }) },
    refuses: [],
  },
  {
    at: 'GET /readyz',
    id: 'readReadiness',
    summary: 'Whether tokens can be served now',
    answers: { 200: readiness, 503: readiness },
    refuses: [],
  },
  {
    at: 'GET /openapi.json',
    id: 'readOpenApi',
    summary: 'This document',
    answers: { 200: z.looseObject({ openapi: z.string() }) },
    refuses: [],
  },
]
