import { describe, expect, it } from 'vitest'
import type { AuditRecord } from '../src/domain/audit-record.ts'
import { BrokerError } from '../src/domain/broker-error.ts'
import type { ExchangeRequest } from '../src/domain/exchange-request.ts'
import { Secret } from '../src/domain/secret.ts'
import { epochSeconds, seconds } from '../src/domain/time.ts'
import type { ResolvedToken } from '../src/domain/token.ts'
import { createExchange, type ExchangeSteps } from '../src/exchange.ts'
import { createFakeClock } from './support/fake-clock.ts'
import { createGrant } from './support/resolve-world.ts'

const request: ExchangeRequest = {
  proof: { form: 'subject_token', assertion: new Secret('an assertion') },
  target: '//tokens.example/credentials/reports-sa',
  scopes: ['a', 'b'],
  tokenType: 'access_token',
}

const resolved: ResolvedToken = {
  token: {
    secret: new Secret('ya29.the-token'),
    tokenType: 'access_token',
    scopes: ['a'],
    drawnFrom: ['v1'],
    issuedAt: epochSeconds(1),
    expiresAt: epochSeconds(3601),
  },
  digest: 'd'.repeat(64),
  source: 'memory',
  remaining: seconds(3000),
}

function createWorld(broken: Partial<ExchangeSteps> = {}) {
  const walked: string[] = []
  const records: AuditRecord[] = []
  const grant = createGrant()
  const steps: ExchangeSteps = {
    countRequest: () => Promise.resolve(),
    authenticate: async () => {
      await Promise.resolve(walked.push('authenticate'))
      return grant.caller
    },
    authorize: async () => {
      await Promise.resolve(walked.push('authorize'))
      return grant
    },
    resolve: async () => {
      await Promise.resolve(walked.push('resolve'))
      return resolved
    },
    mint: () => Promise.reject(new Error('nobody asked to mint')),
    noteUse: (_, { scopes }) => {
      walked.push(`note use of ${scopes.join(' ')}`)
      return undefined
    },
    noteRefusal: ({ error }) => {
      walked.push(`note refusal: ${String(error)}`)
      return undefined
    },
    ...broken,
  }
  const audit = async (record: AuditRecord) => {
    await Promise.resolve(walked.push('audit'))
    records.push(record)
  }
  const exchange = createExchange(steps, audit, createFakeClock())
  return { walked, records, steps, exchange: (parse = () => request) => exchange({ requestId: 'r1', parse }) }
}

const refusal = (code: ConstructorParameters<typeof BrokerError>[0]) =>
  new BrokerError(code, { reason: 'why' })

describe('exchange', () => {
  it('takes the steps in order and writes the record before it answers', async () => {
    const { walked, exchange } = createWorld()
    const outcome = await exchange()
    expect(walked).toEqual(['authenticate', 'authorize', 'resolve', 'audit', 'note use of a b'])
    expect(outcome.resolved.remaining).toBe(3000)
  })

  it('P27: a token leaves one record of who, which rule, which credential, which scopes and whence', async () => {
    const { records, exchange } = createWorld()
    await exchange()
    expect(records).toEqual([
      {
        requestId: 'r1',
        at: 1_800_000_000,
        action: 'token.exchange',
        outcome: 'issued',
        issuer: 'billing',
        caller: 'billing',
        rule: 'a rule',
        credential: 'reports-sa',
        credentialVersion: 'v1',
        scopesAsked: ['a', 'b'],
        scopesIssued: ['a'],
        tokenType: 'access_token',
        source: 'memory',
        remaining: 3000,
        tokenDigest: 'd'.repeat(64),
        durationMs: 0,
      },
    ])
    expect(JSON.stringify(records)).not.toContain('ya29')
  })

  it('P27: an ID token leaves a record of whom it is for, also of one that is refused', async () => {
    const asked = { ...request, tokenType: 'id_token', resource: 'https://a.example' } as const
    const refused = createWorld({ authorize: () => Promise.reject(refusal('target_unavailable')) })
    await expect(refused.exchange(() => asked)).rejects.toThrow()
    expect(refused.records).toMatchObject([{ tokenType: 'id_token', audience: 'https://a.example' }])

    const grant = createGrant({ tokenType: 'id_token', audience: 'https://the-only.example' })
    const issued = createWorld({ authorize: async () => grant })
    await issued.exchange(() => ({ ...request, tokenType: 'id_token' }))
    expect(issued.records).toMatchObject([{ tokenType: 'id_token', audience: 'https://the-only.example' }])
  })

  it('P27: a token with an access boundary is told from one without', async () => {
    const boundary = [{ availableResource: 'b', availablePermissions: ['p'] }]
    const bounded = createWorld({ authorize: async () => createGrant({ boundary }) })
    await bounded.exchange()
    expect(bounded.records).toMatchObject([{ bounded: true }])
  })

  it.each([
    ['what cannot be parsed', 'request_malformed', 'refused', undefined],
    ['an unproved caller', 'subject_token_rejected', 'refused', 'authenticate'],
    ['a forbidden target', 'target_unavailable', 'refused', 'authorize'],
    ['an upstream that is down', 'upstream_unavailable', 'failed', 'resolve'],
  ] as const)('P27: %s leaves one record with its true reason', async (_, code, outcome, step) => {
    const throws = () => Promise.reject(refusal(code))
    const { records, walked, exchange } = createWorld(step === undefined ? {} : { [step]: throws })
    const parse = () => {
      throw refusal(code)
    }
    await expect(exchange(step === undefined ? parse : undefined)).rejects.toMatchObject({ code })
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({ outcome, error: code, reason: 'why' })
    const notes = walked.filter((step) => step.startsWith('note'))
    const isCallerKnown = step === 'authorize' || step === 'resolve'
    expect(notes).toEqual(isCallerKnown ? [`note refusal: BrokerError: ${code}: why`] : [])
    expect(walked.at(-1 - notes.length)).toBe('audit')
  })

  it('P27: a bug leaves a record without its text, and stays a bug', async () => {
    const { records, exchange } = createWorld({
      authorize: () => Promise.reject(new TypeError('ya29.secret')),
    })
    await expect(exchange()).rejects.toBeInstanceOf(TypeError)
    expect(records[0]).toMatchObject({ outcome: 'failed', error: 'bug' })
    expect(JSON.stringify(records)).not.toContain('ya29')
  })

  it('a request too many is refused before anything of it is parsed, and recorded', async () => {
    const { records, walked, exchange } = createWorld({
      countRequest: () => {
        throw refusal('caller_throttled')
      },
    })
    const parse = () => {
      throw new Error('it was parsed')
    }
    await expect(exchange(parse)).rejects.toMatchObject({ code: 'caller_throttled' })
    expect(records).toMatchObject([{ outcome: 'refused', error: 'caller_throttled' }])
    expect(walked).toEqual(['audit'])
  })

  it('P27: without its record no token leaves', async () => {
    const { steps } = createWorld()
    const audit = () => Promise.reject(refusal('audit_unavailable'))
    const exchange = createExchange(steps, audit, createFakeClock())
    await expect(exchange({ requestId: 'r1', parse: () => request })).rejects.toMatchObject({
      code: 'audit_unavailable',
    })
  })
})
