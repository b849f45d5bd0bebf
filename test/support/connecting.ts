import { expect } from 'vitest'
import { developmentClients } from '../../src/cli/dev/development-issuer.ts'
import {
  consent,
  startPeopleWorld,
  type Answer,
  type PeopleOptions,
  type PeopleWorld,
} from './people-world.ts'
import type { Page, Visitor } from './visitor.ts'

export interface Started {
  readonly id: string
  readonly url: string
  readonly nonce: string
  readonly name: string
}

/** What an administrator does for a connection, as tests need it. */
export interface Connecting {
  readonly enrolClient: (name: string, upstream: string, id: string, secret: string) => Promise<void>
  /** What is not said is of `wanted`, and the name is a new one. */
  readonly start: (changes?: Readonly<Record<string, unknown>>) => Promise<Started>
  readonly stateOf: (id: string) => Promise<Readonly<Record<string, unknown>>>
  readonly finalize: (id: string, body: object, as?: 'ops' | 'deputy') => Promise<Answer>
}

export function createConnecting(world: PeopleWorld, wanted: object): Connecting {
  let count = 0
  return {
    enrolClient: async (name, upstream, id, secret) => {
      const file = { type: 'oauth_client', client_id: id, client_secret: secret }
      const { status, document } = await world.admin('POST credentials', { name, upstream, secret: file })
      expect([status, document['detail']]).toEqual([201, undefined])
    },
    start: async (changes = {}) => {
      count += 1
      const body = { name: `c-${count}`, ...wanted, ...changes }
      const { status, document } = await world.admin('POST connections', body)
      expect([status, document['detail']]).toEqual([201, undefined])
      return {
        id: String(document['id']),
        url: String(document['url']),
        nonce: String(document['nonce']),
        name: body.name,
      }
    },
    stateOf: async (id) => (await world.admin(`GET connections/${id}`)).document,
    finalize: (id, body, as = 'ops') => world.admin(`POST connections/${id}:finalize`, body, as),
  }
}

/** The development issuer as the upstream `dev`, with its client enrolled and a rule for the credential `notes`. */
export async function startConnectWorld(
  options: Omit<PeopleOptions, 'policy'> = {},
): Promise<{ readonly world: PeopleWorld; readonly connecting: Connecting }> {
  const world = await startPeopleWorld({
    settings: () => ({ DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups' }),
    policy: ({ issuer }) => ({
      upstreams: [{ name: 'dev', issuer, discovery: true, client_auth: 'client_secret_basic' }],
      rules: [
        {
          name: 'billing reads notes',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'notes',
          scopes: ['notes.read'],
        },
      ],
    }),
    ...options,
  })
  const wanted = { upstream: 'dev', client: 'dev-client', scopes: ['notes.read', 'notes.write'] }
  const connecting = createConnecting(world, wanted)
  const { id, secret } = developmentClients.connect
  await connecting.enrolClient('dev-client', 'dev', id, secret)
  return { world, connecting }
}

/** Through our page and the development issuer's, as somebody. */
export async function consentAs(visitor: Visitor, url: string, person = 'Ann'): Promise<Page> {
  const login = await visitor.press(await visitor.open(url), 'Continue')
  const isAsked = login.html.includes('Who are you?')
  return consent(visitor, isAsked ? await visitor.press(login, `Sign in as ${person}`) : login)
}

/** How a browser comes back from an upstream: with what its answer says, and the flow's `state`. */
export interface WayBack {
  readonly with: (query: string) => string
  readonly state: string
  readonly nonce: string
  /** The request for consent. */
  readonly asked: URL
}

/** Our page, and on to an upstream that is not opened. */
export async function goOnTo(visitor: Visitor, url: string, origin: string): Promise<WayBack> {
  const stopAt = (next: string): boolean => next.startsWith(`${origin}/`)
  const asked = new URL((await visitor.press(await visitor.open(url), 'Continue', { stopAt })).url)
  const state = asked.searchParams.get('state') ?? ''
  return {
    with: (query) => `${asked.searchParams.get('redirect_uri') ?? ''}?state=${state}&${query}`,
    state,
    nonce: asked.searchParams.get('nonce') ?? '',
    asked,
  }
}
