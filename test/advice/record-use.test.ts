import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { Grant } from '../../src/domain/grant.ts'
import type { RuleUse } from '../../src/records/rule-uses.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { MintedToken } from '../../src/domain/token.ts'
import { createRecordUse, type RecordUse, createUsageRecorder } from '../../src/advice/record-use.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { createGrant } from '../support/resolve-world.ts'

const request: ExchangeRequest = {
  proof: { form: 'subject_token', assertion: new Secret('an assertion') },
  target: 'reports-sa',
  scopes: ['a'],
  tokenType: 'access_token',
}
const boundary = [{ availableResource: '//bucket', availablePermissions: ['inRole:roles/x'] }]

/** Equal grants are served the same token, others another one. */
function withTokens(
  noteUse: RecordUse,
): (grant: Grant, request: ExchangeRequest) => Promise<void> | undefined {
  const tokens = new Map<string, MintedToken>()
  return (grant, asked) => {
    const { rule: _, ...served } = grant
    const name = JSON.stringify([served, asked.boundary])
    const token = tokens.get(name) ?? {
      secret: new Secret('a token'),
      tokenType: grant.tokenType,
      scopes: grant.scopes,
      drawnFrom: ['v1'],
      issuedAt: epochSeconds(0),
      expiresAt: epochSeconds(3600),
    }
    tokens.set(name, token)
    return noteUse(grant, asked, token)
  }
}

function createWorld({ runsAfterAnswer = true } = {}) {
  const noted: RuleUse[] = []
  const faults: Error[] = []
  const clock = createFakeClock()
  const background = createAwaitableBackground(runsAfterAnswer)
  const { log, lines } = createLogBook()
  const ruleUses = {
    note: async (use: RuleUse) => {
      await Promise.resolve()
      const fault = faults.pop()
      if (fault !== undefined) throw fault
      noted.push(use)
    },
  }
  return {
    noted,
    faults,
    clock,
    background,
    lines,
    noteUse: withTokens(
      createRecordUse({ ruleUses, noting: createUsageRecorder({ background, clock, log }), clock }),
    ),
  }
}

describe('the use of a rule', () => {
  it('is noted once a day, however many requests are alike', async () => {
    const { noted, clock, noteUse } = createWorld()
    for (let count = 0; count < 100; count += 1) await noteUse(createGrant(), request)
    expect(noted).toEqual([
      { rule: 'a rule', credential: 'reports-sa', tokenType: 'access_token', scopes: ['a'], resources: [] },
    ])
    await clock.advance(86_400_000)
    await noteUse(createGrant(), request)
    expect(noted).toHaveLength(2)
  })

  it.each<[string, Partial<ExchangeRequest>, Partial<RuleUse>]>([
    ['scopes asked for by name', { scopes: ['a'] }, { scopes: ['a'] }],
    ['a request for all', { scopes: [] }, { scopes: undefined }],
    ['a request for more than there is', { scopes: ['a', 'z'] }, { scopes: undefined }],
    ['a boundary of the caller', { boundary }, { resources: ['//bucket'] }],
  ])('knows %s', async (_, asked, expected) => {
    const { noted, noteUse } = createWorld()
    await noteUse(createGrant(), { ...request, ...asked })
    expect(noted).toMatchObject([expected])
  })

  it('knows whom and what a token was for', async () => {
    const { noted, noteUse } = createWorld()
    await noteUse(createGrant({ subject: 'user@acme.example' }), request)
    await noteUse(createGrant({ tokenType: 'id_token', scopes: [], audience: 'https://a.example' }), request)
    expect(noted).toMatchObject([
      { subject: 'user@acme.example' },
      { tokenType: 'id_token', audience: 'https://a.example' },
    ])
  })

  it('is told apart by rule, and by what was asked, also where the token is one', async () => {
    const { noted, noteUse } = createWorld()
    for (const rule of ['one', 'two', 'one', 'two'])
      for (const scopes of [['a'], [], ['a', 'z']])
        await noteUse(createGrant({ rule }), { ...request, scopes })
    expect(noted.map((use) => [use.rule, use.scopes])).toEqual([
      ['one', ['a']],
      ['one', undefined],
      ['two', ['a']],
      ['two', undefined],
    ])
  })

  it('P20: that could not be noted is noted half a minute later, and fails and holds up no request', async () => {
    const { noted, faults, background, lines, clock, noteUse } = createWorld()
    faults.push(new BrokerError('store_unavailable', { reason: 'down' }))
    await noteUse(createGrant(), request)
    await background.settled()
    expect(noted).toEqual([])
    expect(lines).toMatchObject([{ level: 'warn', fields: { rule: 'a rule', reason: 'down' } }])
    await clock.advance(29_999)
    expect(noteUse(createGrant(), request)).toBeUndefined()
    expect(background.started()).toBe(1)
    await clock.advance(1)
    await noteUse(createGrant(), request)
    await noteUse(createGrant(), request)
    await background.settled()
    expect(noted.map(({ rule }) => rule)).toEqual(['a rule'])
  })

  it('P20: of whatever kind, one in half a minute waits for a store that is down', async () => {
    const { noted, faults, clock, noteUse } = createWorld({ runsAfterAnswer: false })
    const kinds = () => [
      noteUse(createGrant({ rule: 'one' }), request),
      noteUse(createGrant({ rule: 'two' }), request),
      noteUse(createGrant(), { ...request, boundary }),
    ]
    const down = new BrokerError('store_unavailable', { reason: 'down' })
    faults.push(down)
    await noteUse(createGrant(), request)
    expect(kinds()).toEqual([undefined, undefined, undefined])
    await clock.advance(30_000)
    faults.push(down)
    const [first, ...others] = kinds()
    expect(first).toBeInstanceOf(Promise)
    expect(others).toEqual([undefined, undefined])
    await first
    expect(kinds()).toEqual([undefined, undefined, undefined])
    await clock.advance(30_000)
    await noteUse(createGrant({ rule: 'one' }), request)
    for (const noting of kinds()) await noting
    expect(noted.map(({ rule }) => rule)).toEqual(['one', 'two', 'a rule'])
  })

  it('is waited for only where there is no CPU after the answer', () => {
    expect(createWorld().noteUse(createGrant(), request)).toBeUndefined()
    const inline = createWorld({ runsAfterAnswer: false })
    expect(inline.noteUse(createGrant(), request)).toBeInstanceOf(Promise)
    expect(inline.noteUse(createGrant(), request)).toBeUndefined()
  })
})
