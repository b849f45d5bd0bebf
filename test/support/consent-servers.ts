import { createHash } from 'node:crypto'
import type { HttpClient, HttpRequest, HttpResult } from '../../src/ports/http-client.ts'
import { answer } from './routed-http.ts'

type Members = Readonly<Record<string, unknown>>

/** What is peculiar to a server where people consent, as its own documentation has it. */
export interface ConsentServer {
  readonly authorize: string
  readonly token: string
  readonly revoke?: string
  readonly clientBy: 'post' | 'basic'
  readonly separator?: ','
  /** Whether a refresh may ask for less. */
  readonly narrows?: true
  readonly rotates?: true
  /** Whether this request for consent brings a refresh token. */
  readonly isLasting: (asked: URLSearchParams, scopes: readonly string[]) => boolean
  /** What its tokens carry although nobody asked for it. */
  readonly addsScopes?: readonly string[]
  /** What a token does not carry although it was asked for. */
  readonly hidesScopes?: readonly string[]
  readonly reply: (given: Given) => Members
  /** Of a refresh token that ended. */
  readonly refusal: readonly [status: number, body: Members]
  readonly idToken?: Members
  readonly account?: {
    readonly url: string
    readonly method: 'GET' | 'POST'
    readonly answer: Members
  }
}

interface Given {
  readonly accessToken: string
  /** Absent where none is given. */
  readonly refreshToken?: string
  readonly scope: string
}

const bearer = ({ accessToken, refreshToken, scope }: Given, life: number): Members => ({
  access_token: accessToken,
  ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  token_type: 'Bearer',
  expires_in: life,
  scope,
})
const invalidGrant = [400, { error: 'invalid_grant' }] as const
const always = () => true
const verified = { email: 'ann@acme.example', email_verified: true }

export const consentServers: Readonly<Record<string, ConsentServer>> = {
  google: {
    authorize: 'https://accounts.google.com/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    revoke: 'https://oauth2.googleapis.com/revoke',
    clientBy: 'post',
    narrows: true,
    isLasting: (asked) => asked.get('access_type') === 'offline' && asked.get('prompt') === 'consent',
    reply: ({ scope, ...given }) => bearer({ ...given, scope: longNames(scope) }, 3599),
    refusal: [400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }],
    idToken: { iss: 'https://accounts.google.com', sub: '10769150350006150715113082367', ...verified },
  },
  microsoft: {
    authorize: 'https://login.microsoftonline.com/acme-1/oauth2/v2.0/authorize',
    token: 'https://login.microsoftonline.com/acme-1/oauth2/v2.0/token',
    clientBy: 'post',
    rotates: true,
    isLasting: (_, scopes) => scopes.includes('offline_access'),
    addsScopes: ['profile'],
    hidesScopes: ['offline_access'],
    reply: (given) => ({ ...bearer(given, 4000), ext_expires_in: 4000 }),
    refusal: [
      400,
      {
        error: 'invalid_grant',
        error_description: 'AADSTS70008: The provided authorization code or refresh token has expired …',
        error_codes: [70008],
      },
    ],
    // An address that anybody can write into their own tenant.
    idToken: {
      iss: 'https://login.microsoftonline.com/acme-1/v2.0',
      sub: 'pairwise',
      tid: 'acme-1',
      oid: 'ann-1',
      email: 'ann@acme.example',
    },
  },
  github: {
    authorize: 'https://github.com/login/oauth/authorize',
    token: 'https://github.com/login/oauth/access_token',
    clientBy: 'post',
    rotates: true,
    isLasting: always,
    reply: (given) => ({
      ...bearer({ ...given, scope: '' }, 28_800),
      token_type: 'bearer',
      refresh_token_expires_in: 15_897_600,
    }),
    refusal: [
      200,
      {
        error: 'bad_refresh_token',
        error_description: 'The refresh token passed is incorrect or expired.',
        error_uri: 'https://docs.github.com',
      },
    ],
    account: { url: 'https://api.github.com/user', method: 'GET', answer: { login: 'octocat', id: 583_231 } },
  },
  gitlab: {
    authorize: 'https://gitlab.com/oauth/authorize',
    token: 'https://gitlab.com/oauth/token',
    revoke: 'https://gitlab.com/oauth/revoke',
    clientBy: 'post',
    rotates: true,
    narrows: true,
    isLasting: always,
    reply: (given) => ({ ...bearer(given, 7200), created_at: 1_607_635_748 }),
    refusal: invalidGrant,
    idToken: { iss: 'https://gitlab.com', sub: '34', ...verified },
  },
  slack: {
    authorize: 'https://slack.com/oauth/v2/authorize',
    token: 'https://slack.com/api/oauth.v2.access',
    clientBy: 'post',
    separator: ',',
    rotates: true,
    isLasting: always,
    // The bot's token outside, the person's inside.
    reply: (given) => ({
      ok: true,
      ...bearer(given, 43_200),
      token_type: 'bot',
      bot_user_id: 'U0KRQLJ9H',
      app_id: 'A0KRD7HC3',
      team: { name: 'Acme', id: 'T9TK3CUKW' },
      enterprise: null,
      authed_user: {
        id: 'U1234',
        scope: 'chat:write',
        access_token: 'xoxp-of-the-person',
        token_type: 'user',
        expires_in: 43_200,
        refresh_token: 'xoxe-of-the-person',
      },
    }),
    refusal: [200, { ok: false, error: 'invalid_refresh_token' }],
    account: {
      url: 'https://slack.com/api/auth.test',
      method: 'POST',
      answer: { ok: true, team: 'Acme', user: 'bot', team_id: 'T9TK3CUKW', user_id: 'U0KRQLJ9H' },
    },
  },
  salesforce: {
    authorize: 'https://acme.my.salesforce.com/services/oauth2/authorize',
    token: 'https://acme.my.salesforce.com/services/oauth2/token',
    revoke: 'https://acme.my.salesforce.com/services/oauth2/revoke',
    clientBy: 'post',
    isLasting: (_, scopes) => scopes.includes('refresh_token') || scopes.includes('offline_access'),
    reply: (given) => {
      const { expires_in: _, ...rest } = bearer(given, 0)
      return {
        ...rest,
        instance_url: 'https://acme.my.salesforce.com',
        id: 'https://login.salesforce.com/id/00D/005',
        issued_at: '1708058728442',
        signature: 'HfBA4=',
      }
    },
    refusal: [400, { error: 'invalid_grant', error_description: 'expired access/refresh token' }],
    idToken: { iss: 'https://acme.my.salesforce.com', sub: 'https://login.salesforce.com/id/00D/005' },
  },
  atlassian: {
    authorize: 'https://auth.atlassian.com/authorize',
    token: 'https://auth.atlassian.com/oauth/token',
    clientBy: 'post',
    rotates: true,
    isLasting: (asked, scopes) =>
      asked.get('audience') === 'api.atlassian.com' && scopes.includes('offline_access'),
    reply: (given) => bearer(given, 3600),
    refusal: [403, { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' }],
    account: {
      url: 'https://api.atlassian.com/me',
      method: 'GET',
      answer: { account_id: '5b10', email: 'ann@acme.example', name: 'Ann' },
    },
  },
  zoom: {
    authorize: 'https://zoom.us/oauth/authorize',
    token: 'https://zoom.us/oauth/token',
    revoke: 'https://zoom.us/oauth/revoke',
    clientBy: 'basic',
    rotates: true,
    isLasting: always,
    reply: (given) => ({ ...bearer(given, 3599), token_type: 'bearer', api_url: 'https://api.zoom.us' }),
    refusal: [400, { reason: 'Invalid Token!', error: 'invalid_request' }],
    account: {
      url: 'https://api.zoom.us/v2/users/me',
      method: 'GET',
      answer: { id: 'KdYKjnim', email: 'ann@acme.example', verified: 1 },
    },
  },
  hubspot: {
    authorize: 'https://app.hubspot.com/oauth/authorize',
    token: 'https://api.hubapi.com/oauth/2026-03/token',
    revoke: 'https://api.hubapi.com/oauth/2026-03/token/revoke',
    clientBy: 'post',
    isLasting: always,
    reply: ({ scope, ...given }) => {
      const { scope: _, ...rest } = bearer({ ...given, scope }, 1800)
      return { ...rest, token_type: 'bearer', hub_id: 62_515, user_id: 123, scopes: scope.split(' ') }
    },
    refusal: [
      400,
      {
        error: 'invalid_grant',
        error_description: 'refresh token is invalid, expired or revoked',
        status: 'BAD_REFRESH_TOKEN',
      },
    ],
  },
  dropbox: {
    authorize: 'https://www.dropbox.com/oauth2/authorize',
    token: 'https://api.dropboxapi.com/oauth2/token',
    clientBy: 'post',
    narrows: true,
    isLasting: (asked) => asked.get('token_access_type') === 'offline',
    reply: (given) => ({
      ...bearer(given, 14_400),
      token_type: 'bearer',
      account_id: 'dbid:AAH4',
      uid: '12',
    }),
    refusal: [400, { error: 'invalid_grant', error_description: 'refresh token is invalid or revoked' }],
    account: {
      url: 'https://api.dropboxapi.com/2/users/get_current_account',
      method: 'POST',
      answer: { account_id: 'dbid:AAH4', email: 'ann@acme.example', email_verified: true },
    },
  },
}

/** Google answers with long names. */
function longNames(scope: string): string {
  return scope.replace(/(^| )(email|profile)(?= |$)/g, '$1https://www.googleapis.com/auth/userinfo.$2')
}

interface Grant {
  readonly scopes: readonly string[]
  readonly nonce: string
  readonly challenge: string
  readonly redirectUri: string
  readonly isLasting: boolean
}

export interface ServersOnHand {
  readonly http: HttpClient
  /** Whether it is an address of one of them. */
  readonly serves: (url: string) => boolean
  /** Somebody consents to a request: the query that their browser brings back. */
  readonly consent: (asked: URL) => string
  /** Every refresh token of all of them ends. */
  endAll(): void
  /** The client has this secret too, or no longer. */
  takesToo(secret: string): void
  takesNoLonger(secret: string): void
  readonly requests: readonly HttpRequest[]
}

/** The client that all of them know; the secret has what form encoding changes. */
export const consentClient = { id: 'client-of-downscope', secret: 'a-secret+of:ours' }

/** All of them in memory. Whatever one of them would refuse is refused; an address of none is 501. */
export function createConsentServers(): ServersOnHand {
  const servers = Object.values(consentServers)
  const codes = new Map<string, Grant>()
  const refreshTokens = new Map<string, Grant>()
  const requests: HttpRequest[] = []
  const secrets = new Set([consentClient.secret])
  let count = 0

  const give = (
    server: ConsentServer,
    grant: Grant,
    refreshToken: string | undefined,
    scopes = grant.scopes,
  ) => {
    count += 1
    const carried = [...scopes, ...(server.addsScopes ?? [])].filter(
      (one) => !server.hidesScopes?.includes(one),
    )
    const given = {
      accessToken: `at-${count}`,
      ...(refreshToken === undefined ? {} : { refreshToken }),
      scope: [...new Set(carried)].join(server.separator ?? ' '),
    }
    const claims = { ...server.idToken, aud: consentClient.id, exp: farAway, nonce: grant.nonce }
    const idToken = ['{"alg":"none"}', JSON.stringify(claims)].map((part) => btoa(part).replaceAll('=', ''))
    const hasIdToken = server.idToken !== undefined && grant.scopes.includes('openid')
    return answer(
      { ...server.reply(given), ...(hasIdToken ? { id_token: `${idToken.join('.')}.x` } : {}) },
      200,
      json,
    )
  }

  const newRefreshToken = (grant: Grant): string => {
    count += 1
    refreshTokens.set(`rt-${count}`, grant)
    return `rt-${count}`
  }

  const redeem = (server: ConsentServer, form: URLSearchParams): HttpResult => {
    const grant = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    if (grant === undefined || form.get('redirect_uri') !== grant.redirectUri) return refuse(server)
    if (createChallenge(form.get('code_verifier') ?? '') !== grant.challenge) return refuse(server)
    return give(server, grant, grant.isLasting ? newRefreshToken(grant) : undefined)
  }

  const refresh = (server: ConsentServer, form: URLSearchParams): HttpResult => {
    const sent = form.get('refresh_token') ?? ''
    const grant = refreshTokens.get(sent)
    if (grant === undefined) return refuse(server)
    if (server.rotates === true) refreshTokens.delete(sent)
    const asked = form.get('scope')?.split(' ')
    const scopes = server.narrows === true && asked !== undefined ? asked : grant.scopes
    if (scopes.some((one) => !grant.scopes.includes(one)))
      return answer({ error: 'invalid_scope' }, 400, json)
    return give(server, grant, server.rotates === true ? newRefreshToken(grant) : undefined, scopes)
  }

  const serve = (server: ConsentServer, request: HttpRequest): HttpResult => {
    const { account } = server
    if (account?.url === request.url && account.method === request.method)
      return /^Bearer at-\d+$/.test(request.headers?.['authorization'] ?? '')
        ? answer(account.answer, 200, json)
        : answer({ error: 'unauthorized' }, 401, json)
    const form = new URLSearchParams(request.body)
    if (![...secrets].some((secret) => isClient(secret, server, { request, form })))
      return answer({ error: 'invalid_client' }, 401, json)
    if (request.url === server.revoke) {
      refreshTokens.delete(form.get('token') ?? '')
      return answer({}, 200, json)
    }
    if (request.url !== server.token || request.headers?.['accept'] !== 'application/json')
      return answer('no such route', 501)
    return form.get('grant_type') === 'refresh_token' ? refresh(server, form) : redeem(server, form)
  }

  const serverOf = (url: string): ConsentServer | undefined =>
    servers.find(({ token, revoke, account }) => [token, revoke, account?.url].includes(url))

  return {
    requests,
    serves: (url) => serverOf(url) !== undefined,
    http: async (request) => {
      requests.push(request)
      const server = serverOf(request.url)
      return server === undefined ? answer('no such route', 501) : serve(server, request)
    },
    consent: (asked) => {
      const server = servers.find(({ authorize }) => asked.href.startsWith(`${authorize}?`))
      const { searchParams: query } = asked
      if (server === undefined || query.get('client_id') !== consentClient.id)
        throw new Error(`nobody serves ${asked.href}`)
      const scopes = (query.get('scope') ?? '').split(server.separator ?? ' ')
      count += 1
      codes.set(`code-${count}`, {
        scopes,
        nonce: query.get('nonce') ?? '',
        challenge: query.get('code_challenge') ?? '',
        redirectUri: query.get('redirect_uri') ?? '',
        isLasting: server.isLasting(query, scopes),
      })
      return `code=code-${count}`
    },
    endAll: () => refreshTokens.clear(),
    takesToo: (secret) => void secrets.add(secret),
    takesNoLonger: (secret) => void secrets.delete(secret),
  }
}

/** The broker's clock is moved by days. */
const farAway = 4_000_000_000
const json = { 'content-type': 'application/json; charset=utf-8' }

function refuse({ refusal: [status, body] }: ConsentServer): HttpResult {
  return answer(body, status, json)
}

function isClient(
  secret: string,
  { clientBy }: ConsentServer,
  { request: { headers }, form }: { readonly request: HttpRequest; readonly form: URLSearchParams },
): boolean {
  const { id } = consentClient
  const encoded = new URLSearchParams({ '': secret }).toString().slice(1)
  const isBasic = headers?.['authorization'] === `Basic ${btoa(`${id}:${encoded}`)}`
  const isPosted = form.get('client_id') === id && form.get('client_secret') === secret
  return clientBy === 'basic' ? isBasic && !form.has('client_secret') : isPosted && !isBasic
}

/** RFC 7636 §4.2. */
function createChallenge(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}
