import type Provider from 'oidc-provider'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Interaction } from 'oidc-provider'
import { consentPage, homePage, signInPage } from './development-pages.ts'

/** Who can sign in at the development issuer, without a password. */
const developmentPeople = [
  { id: 'ann', name: 'Ann, an administrator', email: 'ann@dev.example', groups: ['admins'] },
  { id: 'otto', name: 'Otto, an operator', email: 'otto@dev.example', groups: ['operators'] },
  { id: 'alma', name: 'Alma, an auditor', email: 'alma@dev.example', groups: ['auditors'] },
  { id: 'vera', name: 'Vera, a viewer', email: 'vera@dev.example', groups: ['viewers'] },
  { id: 'nora', name: 'Nora, without a role', email: 'nora@dev.example', groups: [] },
] as const

/** Its clients. That the secret is here is no fault: the issuer is on loopback and lets anybody in. */
export const developmentClients = {
  console: 'downscope-console',
  cli: 'downscope-cli',
  device: 'downscope-device',
  connect: { id: 'downscope-connect', secret: 'development-only' },
} as const

/** What can be consented to there. */
const developmentScopes = ['notes.read', 'notes.write'] as const

export interface DevelopmentIssuer {
  readonly url: string
  /** Ends every refresh token and session, as a person would at the account page of a real server. */
  readonly endGrants: () => void
  readonly close: () => Promise<void>
}

/**
 * A real OpenID Connect provider for trying things out: oidc-provider, certified, with people to choose from instead of
 * passwords. It listens on loopback alone (T27), forgets everything at its end, and no broker elsewhere trusts it.
 */
export async function startDevelopmentIssuer(options: {
  readonly port: number
  /** The broker whose pages it leads back to. */
  readonly broker: string
  readonly accessTokenSeconds?: number
}): Promise<DevelopmentIssuer> {
  const { default: Implementation } = await import('oidc-provider')
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : options.port)
    })
  })
  const url = `http://127.0.0.1:${port}`
  const grants = createGrants()
  const provider = new Implementation(url, configuration(options, grants.adapterFor))
  const serveProvider = provider.callback()
  server.on('request', (request, response) => {
    const path = request.url ?? '/'
    if (path.startsWith('/interaction/'))
      interact(provider, request, response).catch((error: unknown) => fail(response, error))
    else if (path === '/' && request.method === 'GET') void send(response, homePage(developmentPeople))
    else if (path === '/end-grants' && request.method === 'POST') {
      grants.endAll()
      response.writeHead(303, { Location: '/' }).end()
    } else serveProvider(request, response)
  })
  return {
    url,
    endGrants: grants.endAll,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function configuration(
  { broker, accessTokenSeconds = 3600 }: { readonly broker: string; readonly accessTokenSeconds?: number },
  adapter: unknown,
): object {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { connect, ...firstParty } = developmentClients
  const publicClient = { token_endpoint_auth_method: 'none', response_types: ['code'] }
  const codeAndRefresh = ['authorization_code', 'refresh_token']
  return {
    adapter,
    jwks: {
      keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'development' }],
    },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clients: [
      {
        ...publicClient,
        client_id: firstParty.console,
        redirect_uris: [`${broker}/console/callback`],
        grant_types: codeAndRefresh,
      },
      {
        ...publicClient,
        client_id: firstParty.cli,
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: codeAndRefresh,
      },
      {
        ...publicClient,
        client_id: firstParty.device,
        application_type: 'native',
        redirect_uris: [],
        response_types: [],
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      },
      {
        client_id: connect.id,
        client_secret: connect.secret,
        redirect_uris: [`${broker}/connect/callback/dev`],
        grant_types: codeAndRefresh,
      },
    ],
    scopes: ['openid', 'offline_access', 'groups', ...developmentScopes],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
    },
    interactions: { url: (_: unknown, { uid }: Interaction) => `/interaction/${uid}` },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      IdToken: 3600,
      RefreshToken: 30 * 86_400,
      Session: 86_400,
      Interaction: 3600,
      Grant: 30 * 86_400,
      DeviceCode: 600,
    },
    findAccount: (_: unknown, id: string) => {
      const person = developmentPeople.find((one) => one.id === id)
      if (person === undefined) return undefined
      const { name, email, groups } = person
      return { accountId: id, claims: () => ({ sub: id, name, email, email_verified: true, groups }) }
    },
  }
}

/** One step of somebody at its pages: who they are, or what they consent to. */
async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { uid, prompt, params, session } = await provider.interactionDetails(request, response)
  const scopes = prompt.details.missingOIDCScope ?? []
  const client = String(params['client_id'])
  if (request.method !== 'POST') {
    const action = `/interaction/${uid}`
    const page =
      prompt.name === 'login'
        ? signInPage({ action, people: developmentPeople })
        : consentPage({ action, client, account: session?.accountId ?? '', scopes })
    return send(response, page)
  }
  const form = new URLSearchParams(await bodyOf(request))
  if (form.get('decision') === 'refuse')
    return provider.interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'refused at the development issuer',
    })
  if (prompt.name === 'login')
    return provider.interactionFinished(request, response, { login: { accountId: form.get('person') ?? '' } })
  const grant = new provider.Grant({ accountId: session?.accountId, clientId: client })
  const given = scopes.filter((scope) => scope === 'openid' || form.getAll('scope').includes(scope))
  grant.addOIDCScope(given.join(' '))
  const refused = scopes.filter((scope) => !given.includes(scope))
  if (refused.length > 0) grant.rejectOIDCScope(refused.join(' '))
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? [])
  const grantId = await grant.save()
  return provider.interactionFinished(
    request,
    response,
    { consent: { grantId } },
    { mergeWithLastSubmission: true },
  )
}

const bodyCharsMax = 10_000

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk)
    if (text.length > bodyCharsMax) throw new Error('the form is too long')
  }
  return text
}

async function send(response: ServerResponse, page: Promise<string>): Promise<void> {
  const headers = { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }
  response.writeHead(200, headers).end(await page)
}

function fail(response: ServerResponse, error: unknown): void {
  const why = error instanceof Error ? error.message : 'it failed'
  response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${why}\n`)
}

/** What oidc-provider keeps of one thing: a session, a grant, a token. */
interface Payload {
  readonly consumed?: number
  readonly grantId?: string
  readonly uid?: string
  readonly userCode?: string
}

interface DevelopmentGrants {
  /** What oidc-provider asks for each of its models. */
  readonly adapterFor: (model: string) => object
  readonly endAll: () => void
}

/** What oidc-provider keeps, in memory: its own storage cannot be told to end everybody's grants. */
function createGrants(): DevelopmentGrants {
  const kept = new Map<string, Payload>()
  const adapterFor = (model: string) => {
    const keyOf = (id: string) => `${model}:${id}`
    const findBy = (matches: (payload: Payload) => boolean) =>
      Promise.resolve(
        [...kept].find(([key, payload]) => key.startsWith(`${model}:`) && matches(payload))?.[1],
      )
    return {
      upsert: (id: string, payload: Payload) => Promise.resolve(void kept.set(keyOf(id), payload)),
      find: (id: string) => Promise.resolve(kept.get(keyOf(id))),
      findByUid: (uid: string) => findBy((payload) => payload.uid === uid),
      findByUserCode: (code: string) => findBy((payload) => payload.userCode === code),
      consume: (id: string) => {
        const payload = kept.get(keyOf(id))
        if (payload !== undefined)
          kept.set(keyOf(id), { ...payload, consumed: Math.floor(Date.now() / 1000) })
        return Promise.resolve()
      },
      destroy: (id: string) => Promise.resolve(void kept.delete(keyOf(id))),
      revokeByGrantId: (grantId: string) => {
        for (const [key, payload] of kept)
          if (key.startsWith(`${model}:`) && payload.grantId === grantId) kept.delete(key)
        return Promise.resolve()
      },
    }
  }
  const ending = /^(?:Grant|RefreshToken|AccessToken|AuthorizationCode|DeviceCode|Session):/
  const endAll = (): void => {
    for (const key of kept.keys()) if (ending.test(key)) kept.delete(key)
  }
  return { adapterFor, endAll }
}
