import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import * as oauth from 'oauth4webapi'
import { isLoopback, isLoopbackUrl } from '../domain/url.ts'
import { createFault, isFault } from './fault.ts'
import { plain } from './output.ts'
import { authorizationRequestUrl } from '../oauth/authorization-request.ts'

/** Where and as which client somebody signs in. */
export interface SignInPlace {
  readonly issuer: string
  readonly clientId: string
  /** Google asks for it of desktop clients too, where it is no secret (RFC 8252 §8.5). */
  readonly clientSecret?: string | undefined
}

export interface SignedInTokens {
  readonly idToken: string
  readonly refreshToken?: string | undefined
}

const waitMs = 300_000
const tolerance = { [oauth.clockTolerance]: 60 }

/** By the browser: a page of the issuer, which leads back to this machine (RFC 8252). `show` is told the link. */
export async function signInByBrowser(
  place: SignInPlace,
  show: (url: string) => void,
): Promise<SignedInTokens> {
  return tellingFaults(place, async () => {
    const server = await discover(place)
    const flow = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
    }
    const callback = await listenForCallback()
    try {
      const { scope, ...more } = scopesOf(server)
      const request = { clientId: place.clientId, redirectUri: callback.redirectUri, scope, ...flow }
      show(await authorizationRequestUrl(requireEndpoint(server.authorization_endpoint), request, more))
      const client = clientOf(place)
      const code = oauth.validateAuthResponse(server, client, await callback.answer, flow.state)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        proofOf(place),
        code,
        callback.redirectUri,
        flow.verifier,
        optionsOf(place),
      )
      const expected = { expectedNonce: flow.nonce, requireIdToken: true }
      return tokensOf(await oauth.processAuthorizationCodeResponse(server, client, response, expected))
    } finally {
      callback.close()
    }
  })
}

/** By a code that is typed on another device (RFC 8628). */
export async function signInByDevice(
  place: SignInPlace,
  show: (device: { readonly url: string; readonly code: string }) => void,
): Promise<SignedInTokens> {
  return tellingFaults(place, async () => {
    const server = await discover(place)
    const [client, proof, options] = [clientOf(place), proofOf(place), optionsOf(place)]
    const asked = await oauth.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth.deviceAuthorizationRequest(server, client, proof, scopesOf(server), options),
    )
    show({ url: asked.verification_uri, code: asked.user_code })
    let intervalMs = (asked.interval ?? 5) * 1000
    const deadline = performance.now() + Math.min(asked.expires_in * 1000, waitMs)
    while (performance.now() < deadline) {
      await new Promise((next) => setTimeout(next, intervalMs))
      try {
        const response = await oauth.deviceCodeGrantRequest(server, client, proof, asked.device_code, options)
        return tokensOf(await oauth.processDeviceCodeResponse(server, client, response))
      } catch (error) {
        const code = error instanceof oauth.ResponseBodyError ? error.error : undefined
        if (code === 'slow_down') intervalMs += 5_000
        else if (code !== 'authorization_pending') throw error
      }
    }
    throw createFault('refused', 'the sign-in timed out: it was not completed within 5 minutes')
  })
}

/** A new ID token; `undefined` where the issuer wants to see the person again. */
export async function refreshIdToken(
  place: SignInPlace,
  refreshToken: string,
): Promise<SignedInTokens | undefined> {
  return tellingFaults(place, async () => {
    const server = await discover(place)
    const client = clientOf(place)
    try {
      const response = await oauth.refreshTokenGrantRequest(
        server,
        client,
        proofOf(place),
        refreshToken,
        optionsOf(place),
      )
      const tokens = await oauth.processRefreshTokenResponse(server, client, response)
      if (tokens.id_token === undefined) return undefined
      return { ...tokensOf(tokens), refreshToken: tokens.refresh_token ?? refreshToken }
    } catch (error) {
      if (error instanceof oauth.ResponseBodyError && error.status < 500) return undefined
      throw error
    }
  })
}

/** Ends a refresh token at the issuer, where it can be ended; what fails there is no reason to stay signed in here. */
export async function endRefreshToken(place: SignInPlace, refreshToken: string): Promise<boolean> {
  try {
    const server = await discover(place)
    if (server.revocation_endpoint === undefined) return false
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, clientOf(place), proofOf(place), refreshToken, optionsOf(place)),
    )
    return true
  } catch {
    return false
  }
}

/** Opens a link in the browser, if there is one to open; the link is shown in any case. */
export function openBrowser(url: string): void {
  const commands: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
    darwin: ['open'],
    win32: ['rundll32', 'url.dll,FileProtocolHandler'],
  }
  const [command, ...args] = commands[process.platform] ?? ['xdg-open']
  spawn(command, [...args, url], { stdio: 'ignore', detached: true })
    .once('error', () => undefined)
    .unref()
}

async function discover({ issuer, ...place }: SignInPlace): Promise<oauth.AuthorizationServer> {
  const url = URL.parse(issuer)
  if (url === null || (url.protocol !== 'https:' && !isLoopback(url.hostname)))
    throw createFault('refused', `${plain(issuer)} is no issuer to sign in at: it must be https`)
  const response = await oauth.discoveryRequest(url, optionsOf({ issuer, ...place }))
  return oauth.processDiscoveryResponse(url, response)
}

function clientOf({ clientId }: SignInPlace): oauth.Client {
  return { client_id: clientId, ...tolerance }
}

function proofOf({ clientSecret }: SignInPlace): oauth.ClientAuth {
  return clientSecret === undefined ? oauth.None() : oauth.ClientSecretPost(clientSecret)
}

function optionsOf({ issuer }: SignInPlace) {
  return {
    // oxlint-disable-next-line typescript/no-deprecated -- so marked to stand out: http is for loopback alone
    [oauth.allowInsecureRequests]: isLoopbackUrl(issuer),
    signal: () => AbortSignal.timeout(10_000),
  }
}

/** With `offline_access` where the issuer has it, which is given only where the person is asked. */
function scopesOf({ scopes_supported: supported = [] }: oauth.AuthorizationServer) {
  const wanted = [
    'openid',
    'email',
    'profile',
    ...['groups', 'offline_access'].filter((one) => supported.includes(one)),
  ]
  return {
    scope: wanted.join(' '),
    ...(wanted.includes('offline_access') && { prompt: 'consent' }),
  }
}

function tokensOf(tokens: oauth.TokenEndpointResponse): SignedInTokens {
  if (tokens.id_token === undefined) throw createFault('refused', 'the issuer gave no ID token')
  return { idToken: tokens.id_token, refreshToken: tokens.refresh_token }
}

function requireEndpoint(url: string | undefined): string {
  if (url !== undefined) return url
  throw createFault('refused', 'the issuer has no page to sign in at')
}

interface Callback {
  readonly redirectUri: string
  readonly answer: Promise<URLSearchParams>
  readonly close: () => void
}

/** One answer on loopback, on a port that is free. */
export async function listenForCallback(): Promise<Callback> {
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
  const redirectUri = `http://127.0.0.1:${port}/callback`
  let timer: NodeJS.Timeout | undefined
  const answer = new Promise<URLSearchParams>((resolve, reject) => {
    timer = setTimeout(
      () => reject(createFault('refused', 'the sign-in timed out: it was not completed within 5 minutes')),
      waitMs,
    )
    server.on('request', (request, response) => {
      const url = new URL(request.url ?? '/', redirectUri)
      const isOurs = url.pathname === '/callback' && url.searchParams.has('state')
      const words = isOurs ? 'You may close this page and go back to the terminal.' : 'There is nothing here.'
      response.writeHead(isOurs ? 200 : 404, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': 'no-store',
        connection: 'close',
      })
      response.end(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">' +
          '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Downscope</title>' +
          `<main><h1>Downscope</h1><p>${words}</p></main></html>`,
      )
      if (isOurs) resolve(url.searchParams)
    })
  })
  // Whoever gives up before it comes must not end the process with it.
  answer.catch(() => undefined)
  const close = (): void => {
    clearTimeout(timer)
    server.close()
  }
  return { redirectUri, answer, close }
}

async function tellingFaults<T>({ issuer }: SignInPlace, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isFault(error)) throw error
    if (error instanceof oauth.AuthorizationResponseError)
      throw createFault('refused', `the issuer did not let you in: ${plain(error.error)}`)
    if (error instanceof oauth.ResponseBodyError)
      throw createFault('refused', `the issuer refused: ${plain(error.error)}`, {
        hints: ['Is the client registered as a public one, with the redirect URI http://127.0.0.1/callback?'],
      })
    if (error instanceof oauth.OperationProcessingError)
      throw createFault('refused', `what ${plain(issuer)} answers is not valid (${error.code})`)
    throw createFault('unreachable', `${plain(issuer)} does not answer`)
  }
}
