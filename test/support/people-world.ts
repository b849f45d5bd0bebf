import { serve } from '@hono/node-server'
import { createBroker } from '../../src/compose.ts'
import { createNodePlatform } from '../../src/compose/node-platform.ts'
import type { Platform } from '../../src/compose/platform.ts'
import { readSettings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import {
  developmentClients,
  startDevelopmentIssuer,
  type DevelopmentIssuer,
} from '../../src/cli/dev/development-issuer.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { later, seconds } from '../../src/domain/time.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { freePort } from './free-port.ts'
import { createFaultyStore, type FaultyStore } from './faulty-store.ts'
import { createLogBook, type LogLine } from './quiet.ts'
import { createSigner } from './signer.ts'
import { createVisitor, type Page, type Visitor } from './visitor.ts'

/** People, the development issuer, and a broker on a port that they can open in a browser. */
export interface PeopleWorld {
  readonly url: string
  readonly issuer: DevelopmentIssuer
  readonly store: FaultyStore
  readonly audits: readonly AuditRecord[]
  readonly lines: readonly LogLine[]
  /** Moves the broker's clock, and nobody else's. */
  readonly pass: (seconds: number) => void
  /** Somebody at the console, signed in. */
  readonly signedIn: (person: string, visitor?: Visitor) => Promise<{ visitor: Visitor; page: Page }>
  /** The admin API as `ops` or `deputy`, both administrators by a key of theirs. */
  readonly admin: (line: string, body?: object, as?: 'ops' | 'deputy') => Promise<Answer>
  /** A token of a credential for the caller `billing`. */
  readonly token: (credential: string, scope?: string) => Promise<Answer>
  readonly close: () => Promise<void>
}

export interface Answer {
  readonly status: number
  readonly document: Readonly<Record<string, unknown>>
  readonly headers: Headers
}

export interface PeopleOptions {
  readonly settings?: (world: { readonly url: string; readonly issuer: string }) => Environment
  /** What the policy has besides. */
  readonly policy?: (world: { readonly url: string; readonly issuer: string }) => PolicyParts
  readonly accessTokenSeconds?: number
  readonly path?: string
  /** The policy lies in the store, where people can change it. */
  readonly storesPolicy?: boolean
  /** Who answers instead of the network, for the addresses that they serve. */
  readonly http?: { readonly serves: (url: string) => boolean; readonly http: HttpClient }
}

export interface PolicyParts {
  readonly upstreams?: readonly object[]
  readonly rules?: readonly object[]
  readonly admins?: readonly object[]
  readonly issuers?: readonly object[]
}

export async function startPeopleWorld(options: PeopleOptions = {}): Promise<PeopleWorld> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}${options.path ?? ''}`
  const issuer = await startDevelopmentIssuer({
    port: 0,
    broker: url,
    ...(options.accessTokenSeconds === undefined ? {} : { accessTokenSeconds: options.accessTokenSeconds }),
  })
  const people = {
    ops: await createSigner('ES256', 'ops'),
    deputy: await createSigner('ES256', 'deputy'),
    billing: await createSigner('ES256', 'billing'),
  }
  const where = { url, issuer: issuer.url }
  const more = options.policy?.(where) ?? {}
  const policyText = JSON.stringify(policyOf(people, issuer.url, more), undefined, 2)
  const settings = readSettings({
    DOWNSCOPE_ISSUER: url,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
    ...(options.storesPolicy === true ? {} : { DOWNSCOPE_POLICY_YAML: policyText }),
    DOWNSCOPE_SIGN_IN_ISSUER: issuer.url,
    DOWNSCOPE_SIGN_IN_CLIENT_ID: developmentClients.console,
    DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID: developmentClients.cli,
    ...options.settings?.(where),
  })
  const [book, audits] = [createLogBook(), [] as AuditRecord[]]
  const node = createNodePlatform(settings)
  let passed = 0
  const clock = {
    ...node.clock,
    now: () => later(node.clock.now(), seconds(passed)),
    steadyMs: () => node.clock.steadyMs() + passed * 1000,
  }
  const store = createFaultyStore(node.store)
  const { http: inMemory } = options
  const platform: Platform = {
    ...node,
    http: (request) => (inMemory?.serves(request.url) === true ? inMemory : node).http(request),
    clock,
    store,
    log: book.log,
    auditTrail: async (record) => void audits.push(record),
  }
  if (options.storesPolicy === true)
    await createPolicies({ store, clock, newId: () => crypto.randomUUID() }).apply({
      text: policyText,
      expected: undefined,
      by: 'ops/ops',
    })
  const broker = createBroker(settings, platform)
  const server = serve({ fetch: broker.serve, port, hostname: '127.0.0.1' })
  await broker.readiness()

  const jwt = (person: keyof typeof people) => {
    const now = clock.now()
    const claims = { iss: person, sub: person, aud: url, iat: now, exp: later(now, seconds(120)) }
    return people[person].sign({ ...claims, jti: crypto.randomUUID() })
  }
  const signedIn: PeopleWorld['signedIn'] = async (person, visitor = createVisitor()) => {
    const login = await visitor.open(`${url}/console`)
    const page = await consent(visitor, await visitor.press(login, `Sign in as ${person}`))
    return { visitor, page }
  }
  return {
    url,
    issuer,
    store,
    audits,
    lines: book.lines,
    pass: (seconds) => void (passed += seconds),
    signedIn,
    admin: async (line, body, as = 'ops') => {
      const [method = '', path = ''] = line.split(' ')
      const json = body === undefined ? {} : { body: JSON.stringify(body) }
      const headers = { authorization: `Bearer ${await jwt(as)}`, 'content-type': 'application/json' }
      return answerOf(await fetch(`${url}/v1/admin/${path}`, { method, headers, ...json }))
    },
    token: async (credential, scope) =>
      answerOf(
        await fetch(`${url}/v1/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: await jwt('billing'),
            audience: credential,
            ...(scope === undefined ? {} : { scope }),
          }),
        }),
      ),
    close: async () => {
      await new Promise((resolve) => server.close(resolve))
      await issuer.close()
    },
  }
}

/** Allows what the issuer asks about, if it does. */
export async function consent(visitor: Visitor, page: Page): Promise<Page> {
  return page.html.includes('Do you allow this?') ? visitor.press(page, 'Allow') : page
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const parsed: unknown = text === '' ? {} : JSON.parse(text)
  const document = typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  return { status: response.status, document, headers: response.headers }
}

function policyOf(
  people: Readonly<Record<string, { readonly jwk: object }>>,
  issuer: string,
  more: PolicyParts,
): object {
  const own = Object.entries(people).map(([name, { jwk }]) => ({
    name,
    issuer: name,
    self_issued: true,
    keys: { jwks: { keys: [jwk] } },
  }))
  const group = (name: string) => [{ issuer: 'dev', subject: '*', claims: { groups: name } }]
  return {
    version: 1,
    issuers: [...own, { name: 'dev', issuer, keys: { discovery: true } }, ...(more.issuers ?? [])],
    upstreams: more.upstreams ?? [],
    rules: more.rules ?? [],
    admins: [
      { callers: ['ops', 'deputy'].map((name) => ({ issuer: name, subject: name })), role: 'admin' },
      { callers: group('admins'), role: 'admin' },
      { callers: group('operators'), role: 'operator' },
      { callers: group('viewers'), role: 'viewer' },
      { callers: group('auditors'), role: 'auditor' },
      ...(more.admins ?? []),
    ],
  }
}
