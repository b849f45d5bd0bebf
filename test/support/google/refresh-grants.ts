import { randomBytes } from 'node:crypto'
import { expandAliases } from './scopes.ts'

/** Google's `authorized_user` file. */
export type AuthorizedUserFile = {
  readonly type: 'authorized_user'
  readonly client_id: string
  readonly client_secret: string
  readonly refresh_token: string
  readonly universe_domain: string
}

export type NewRefreshToken = {
  readonly scopes: readonly string[]
  /** Default `user@acme.example`. */
  readonly user?: string
  readonly clientId?: string
  readonly clientSecret?: string
  /** Each refresh answers with a new refresh token and kills the one used. */
  readonly rotating?: boolean
  /** Using a killed refresh token revokes the whole grant (RFC 9700 §4.14.2). */
  readonly reuseDetection?: boolean
}

export type GrantState = 'live' | 'revoked' | 'expired' | 'user_deleted' | 'rapt_required'

/** What a user consented to for a client, and the refresh token that stands for it now. */
export type RefreshGrant = {
  /** The first refresh token: the name of the grant. */
  readonly id: string
  readonly user: string
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly rotating: boolean
  readonly reuseDetection: boolean
  readonly state: GrantState
  /** The one refresh token that works. */
  readonly current: string
  /** How often it was rotated. */
  readonly rotations: number
}

export type RefreshGrants = {
  readonly create: (options: NewRefreshToken) => AuthorizedUserFile
  /** The grant of a refresh token, current or killed. */
  readonly find: (refreshToken: string) => RefreshGrant | undefined
  /** The grants of a user for a client that still stand. */
  readonly standing: (clientId: string, user: string) => readonly RefreshGrant[]
  /** Replaces the refresh token of a rotating grant; the new one. */
  readonly rotate: (grant: RefreshGrant) => string
  readonly setState: (refreshToken: string, state: GrantState) => void
  /** The secrets that a client may prove itself with, of which Google allows two at a time; none: unknown. */
  readonly clientSecrets: (clientId: string) => readonly string[]
  readonly addClientSecret: (clientId: string, secret: string) => void
  readonly removeClientSecret: (clientId: string, secret: string) => void
  readonly deleteClient: (clientId: string) => void
  readonly isDeletedClient: (clientId: string) => boolean
}

const CLIENT_SECRETS_MAX = 2
const DEFAULT_CLIENT = '32555940559-standin.apps.googleusercontent.com'
const DEFAULT_SECRET = 'GOCSPX-stand-in-client-secret'

export function createRefreshGrants(): RefreshGrants {
  const grants = new Map<string, RefreshGrant>()
  const grantOfToken = new Map<string, string>()
  const clients = new Map<string, readonly string[]>()
  const deletedClients = new Set<string>()

  function find(refreshToken: string): RefreshGrant | undefined {
    return grants.get(grantOfToken.get(refreshToken) ?? '')
  }

  return {
    create: (options) => {
      const clientId = options.clientId ?? DEFAULT_CLIENT
      const [known] = clients.get(clientId) ?? []
      const secret = options.clientSecret ?? known ?? DEFAULT_SECRET
      if ((known ?? secret) !== secret) {
        throw new Error(`the stand-in has another secret for ${clientId}`)
      }
      if (known === undefined) clients.set(clientId, [secret])
      const grant = newGrant(options, clientId)
      grants.set(grant.id, grant)
      grantOfToken.set(grant.id, grant.id)
      return authorizedUser(grant, secret)
    },
    find,
    standing: (clientId, user) =>
      [...grants.values()].filter(
        (grant) => grant.clientId === clientId && grant.user === user && grant.state === 'live',
      ),
    rotate: (grant) => {
      const next = newRefreshToken()
      grantOfToken.set(next, grant.id)
      grants.set(grant.id, { ...grant, current: next, rotations: grant.rotations + 1 })
      return next
    },
    setState: (refreshToken, state) => {
      const grant = find(refreshToken)
      if (!grant) throw new Error('the stand-in never issued this refresh token')
      grants.set(grant.id, { ...grant, state })
    },
    clientSecrets: (clientId) => clients.get(clientId) ?? [],
    addClientSecret: (clientId, secret) => {
      const held = clients.get(clientId) ?? []
      if (held.length >= CLIENT_SECRETS_MAX) throw new Error('Google allows two secrets a client')
      clients.set(clientId, [...held, secret])
    },
    removeClientSecret: (clientId, secret) => {
      clients.set(
        clientId,
        (clients.get(clientId) ?? []).filter((one) => one !== secret),
      )
    },
    deleteClient: (clientId) => {
      deletedClients.add(clientId)
    },
    isDeletedClient: (clientId) => deletedClients.has(clientId),
  }
}

function newGrant(options: NewRefreshToken, clientId: string): RefreshGrant {
  const id = newRefreshToken()
  return {
    id,
    user: options.user ?? 'user@acme.example',
    clientId,
    scopes: expandAliases(options.scopes),
    rotating: options.rotating ?? false,
    reuseDetection: options.reuseDetection ?? false,
    state: 'live',
    current: id,
    rotations: 0,
  }
}

function authorizedUser(grant: RefreshGrant, secret: string): AuthorizedUserFile {
  return {
    type: 'authorized_user',
    client_id: grant.clientId,
    client_secret: secret,
    refresh_token: grant.id,
    universe_domain: 'googleapis.com',
  }
}

function newRefreshToken(): string {
  return `1//0${randomBytes(75).toString('base64url')}`
}
