import { generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi'
import { isMembers, parseJsonObject } from '../../domain/json.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { Secret } from '../../domain/secret.ts'
import { createFault } from '../fault.ts'
import { readTextFile } from '../files.ts'
import { listenForCallback } from '../sign-in.ts'
import { askForm, notRun, type GoogleProject, type Reply } from './google-project.ts'
import type { Thing } from './journal.ts'
import { authorizationRequestUrl } from '../../oauth/authorization-request.ts'

/** What a person consented to in this run, for a client that had no consent of theirs before. */
export interface Consent {
  /** Without a scope: all that was consented. */
  readonly refresh: (scope?: string) => Promise<Refreshed>
  /** To be said when it was revoked. */
  readonly ended: () => void
}

interface Refreshed {
  /** Absent when it was refused. */
  readonly token?: Secret
  readonly error: string
  readonly said: string
}

export interface OAuthClient {
  readonly id: string
  readonly secret: Secret
}

/** Google's file of a desktop client. Throws a fault that repeats nothing of it. */
export async function readClient(file: string): Promise<OAuthClient> {
  const { installed } = parseJsonObject(await readTextFile(file)) ?? {}
  const { client_id: id, client_secret: secret } = isMembers(installed) ? installed : {}
  if (typeof id === 'string' && typeof secret === 'string') return { id, secret: new Secret(secret) }
  throw createFault('usage', `${file} is not the file of a desktop client ("installed")`, {
    hints: [
      'Google Cloud console, APIs & Services, Credentials: create an OAuth client ID of type Desktop app.',
    ],
  })
}

export interface ConsentFlow {
  readonly grant: () => Promise<Consent>
  /** Revokes what was consented in this run and still stands. */
  readonly end: () => Promise<void>
}

/**
 * Consent in a browser (RFC 8252), asked for once. First without asking anybody: where that gives a code, the client
 * has a grant of that account already, which revoking would end (T39), so nothing is consented then.
 */
export function createConsentFlow(
  google: GoogleProject,
  client: OAuthClient | undefined,
  { scopes, show }: { readonly scopes: readonly string[]; readonly show: (link: string) => void },
): ConsentFlow {
  const { urls, journal, entropy } = google
  let begun: Promise<Consent> | undefined
  let standing: { readonly refreshToken: Secret; readonly made: Thing } | undefined

  const authorize = async ({ id }: OAuthClient, prompt: 'none' | 'consent') => {
    const [state, verifier] = [generateRandomState(), generateRandomCodeVerifier()]
    const callback = await listenForCallback()
    try {
      const { redirectUri } = callback
      const request = { clientId: id, redirectUri, scope: scopes.join(' '), state, verifier }
      show(
        await authorizationRequestUrl(urls.oauthAuthorizationUrl, request, {
          access_type: 'offline',
          prompt,
        }),
      )
      const answer = await callback.answer
      if (answer.get('state') !== state) throw notRun('the answer of the consent page is not of this run')
      return { code: answer.get('code'), error: answer.get('error') ?? 'no code', verifier, redirectUri }
    } finally {
      callback.close()
    }
  }

  const consent = async (): Promise<Consent> => {
    if (client === undefined) throw notRun('no client was named: --oauth-client')
    const silent = await authorize(client, 'none')
    if (silent.code !== null)
      throw notRun(
        'the client has a grant of this account already, which revoking would end: use a new client',
      )
    const made: Thing = { kind: 'consent', name: client.id, mark: entropy.uuid() }
    journal.add(made)
    const { code, error, verifier, redirectUri } = await authorize(client, 'consent')
    if (code === null) {
      journal.drop(made)
      throw notRun(`nothing was consented: ${error}`)
    }
    const proof = { client_id: client.id, client_secret: client.secret.reveal() }
    const { members, said } = await askForm(google, urls.oauthTokenUrl, {
      ...proof,
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    })
    const { refresh_token: token } = members
    if (typeof token !== 'string') throw notRun(`no refresh token came: ${said}`)
    const refreshToken = new Secret(token)
    standing = { refreshToken, made }
    return {
      refresh: async (scope) => {
        const form = { ...proof, grant_type: 'refresh_token', refresh_token: refreshToken.reveal() }
        return refreshed(await askForm(google, urls.oauthTokenUrl, { ...form, ...omitUndefined({ scope }) }))
      },
      ended: () => {
        standing = undefined
        journal.drop(made)
      },
    }
  }

  return {
    grant: () => (begun ??= consent()),
    end: async () => {
      if (standing === undefined) return
      const { refreshToken, made } = standing
      const { status } = await askForm(google, urls.revokeUrl, { token: refreshToken.reveal() })
      if (status === 200 || status === 400) journal.drop(made)
    },
  }
}

function refreshed({ members: { access_token: token }, error = 'none', said }: Reply): Refreshed {
  return { ...(typeof token === 'string' && { token: new Secret(token) }), error, said }
}
