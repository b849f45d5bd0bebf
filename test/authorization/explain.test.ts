import { sharedAudienceFault } from '../../src/authentication/judge-claims.ts'
import { describe, expect, it } from 'vitest'
import { createExplain } from '../../src/authorization/explain.ts'
import { inForce, type Blocks } from '../../src/domain/blocks.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { Explanation, ExplainQuestion } from '../../src/domain/explanation.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { credentialWith, policyOf, ruleWith } from '../support/policies.ts'

interface Situation {
  readonly rules?: readonly object[]
  readonly credential?: CredentialSummary | 'none'
  readonly question?: Partial<ExplainQuestion>
  readonly blocks?: Partial<Blocks>
}

function explain({
  rules = [ruleWith()],
  credential = credentialWith(),
  question,
  blocks,
}: Situation): Promise<Explanation> {
  const policy = policyOf(rules)
  return createExplain({
    policy: () => Promise.resolve(policy),
    findCredential: (name) =>
      Promise.resolve(credential !== 'none' && name === credential.name ? credential : undefined),
    findNothing: () => undefined,
    brokerIssuer: 'https://tokens.acme.example',
    sharedAudienceFault,
    blocks: () => inForce({ callers: [], tokens: [], ...blocks }),
  })({
    issuer: 'https://cluster.example',
    claims: { sub: 'exporter' },
    target: 'reports',
    scopes: [],
    tokenType: 'access_token',
    ...question,
  })
}

const googleScope = (word: string) => `https://www.googleapis.com/auth/${word}`
const callers = (pattern: object) => ({ callers: [{ issuer: 'cluster', ...pattern }] })

describe('explain', () => {
  it('names a scope that the rule gives without naming it, and for what the one does not imply it', async () => {
    const given = await explain({
      rules: [ruleWith({ scopes: ['devstorage.read_write'] })],
      question: { scopes: [googleScope('devstorage.read_only')] },
    })
    expect(given.token?.impliedScopes).toEqual([
      {
        scope: googleScope('devstorage.read_only'),
        by: googleScope('devstorage.read_write'),
        except: ['storage.projects.hmacKeys.get', 'storage.projects.hmacKeys.list'],
      },
    ])
    expect((await explain({ rules: [ruleWith({ scopes: ['compute'] })] })).token).not.toHaveProperty(
      'impliedScopes',
    )
  })

  it('says what the token would carry, and which rule decides', async () => {
    const rules = [
      ruleWith({ name: 'first', ...callers({ subject: 'importer' }) }),
      ruleWith({ name: 'second' }),
      ruleWith({ name: 'third' }),
      ruleWith({ name: 'of another', credential: 'payroll' }),
    ]
    expect(await explain({ rules })).toEqual({
      outcome: 'granted',
      caller: { issuer: 'https://cluster.example', issuerName: 'cluster', subject: 'exporter' },
      credential: { name: 'reports', kind: 'service_account_key', state: 'enabled', version: 'v1' },
      rules: [
        {
          rule: 'first',
          outcome: 'does_not_match',
          failed: [{ condition: 'callers[0].subject', wanted: 'importer', found: 'exporter' }],
        },
        { rule: 'second', outcome: 'decides', failed: [] },
        { rule: 'third', outcome: 'not_reached', failed: [] },
      ],
      token: { tokenType: 'access_token', scopes: ['read'], upstream: 'google' },
      narrowestScopes: ['read'],
      hints: [],
    })
  })

  it('takes the name of an issuer for the issuer', async () => {
    expect(await explain({ question: { issuer: 'cluster' } })).toMatchObject({ outcome: 'granted' })
  })

  it.each<[string, object, object]>([
    [
      'the issuer',
      { callers: [{ issuer: 'ops', subject: 'exporter' }] },
      { condition: 'callers[0].issuer', wanted: 'ops', found: 'cluster' },
    ],
    [
      'the subject',
      callers({ subject: 'import*' }),
      { condition: 'callers[0].subject', wanted: 'import*', found: 'exporter' },
    ],
    [
      'a claim that is missing',
      callers({ subject: '*', claims: { '/k/ns': 'billing' } }),
      { condition: 'callers[0].claims["/k/ns"]', wanted: '"billing"', found: 'no such claim' },
    ],
    [
      'a claim that is another',
      callers({ subject: '*', claims: { sub: 'exporter', ns: 'billing' } }),
      { condition: 'callers[0].claims["ns"]', wanted: '"billing"', found: '["reports"]' },
    ],
  ])('names %s as the condition that failed', async (_, rule, failed) => {
    const explanation = await explain({
      rules: [ruleWith(rule)],
      question: { claims: { sub: 'exporter', ns: ['reports'] } },
    })
    expect(explanation).toMatchObject({
      outcome: 'refused',
      error: 'target_unavailable',
      condition: 'rules',
      rules: [{ outcome: 'does_not_match', failed: [failed] }],
    })
    expect(explanation.hints.join()).toContain('names other callers')
  })

  it('names the condition of each pattern of a rule', async () => {
    const rules = [
      ruleWith({
        callers: [
          { issuer: 'cluster', subject: 'a' },
          { issuer: 'cluster', subject: 'b' },
        ],
      }),
    ]
    const { rules: explained } = await explain({ rules })
    expect(explained[0]?.failed.map(({ condition }) => condition)).toEqual([
      'callers[0].subject',
      'callers[1].subject',
    ])
  })

  it('says which issuer was probably meant', async () => {
    const explanation = await explain({ question: { issuer: 'https://cluster.example/' } })
    expect(explanation).toMatchObject({ outcome: 'refused', condition: 'issuers', rules: [] })
    expect(explanation.caller).not.toHaveProperty('issuerName')
    expect(explanation.hints.join()).toContain('"https://cluster.example"')
  })

  it.each([[{}], [{ sub: '' }], [{ sub: 7 }]])('needs a subject, and %j has none', async (claims) => {
    expect(await explain({ question: { claims } })).toMatchObject({
      outcome: 'refused',
      condition: 'claims.sub',
    })
  })

  it('says which credential was probably meant', async () => {
    const explanation = await explain({ question: { target: 'report' } })
    expect(explanation).toMatchObject({ condition: 'rules', credential: { name: 'report' }, rules: [] })
    expect(explanation.hints.join()).toContain('"reports"')
    expect(await explain({ question: { target: '../x' } })).toMatchObject({ condition: 'audience' })
  })

  it.each<[string, Situation, string]>([
    ['a credential that is not enrolled', { credential: 'none' }, 'credential'],
    ['a disabled one', { credential: credentialWith({ state: 'disabled' }) }, 'credential.state'],
    ['a scope beyond the rule', { question: { scopes: ['read', 'write'] } }, 'scopes'],
    ['a scope not consented', { credential: credentialWith({ consentedScopes: ['x'] }) }, 'scopes'],
    ['an ID token', { question: { tokenType: 'id_token' } }, 'token_types'],
    ['a user not named', { question: { subject: 'user@acme.example' } }, 'subjects'],
    ['a boundary that is malformed', { question: { boundary: [] } }, 'boundary'],
    ['a lifetime too short', { question: { lifetime: seconds(1) } }, 'requested_lifetime'],
    ['a resource for an access token', { question: { resource: 'https://a.example' } }, 'resource'],
  ])('names the condition that refused %s', async (_, situation, condition) => {
    const explanation = await explain(situation)
    expect(explanation).toMatchObject({ outcome: 'refused', condition })
    expect(explanation.rules).toMatchObject([{ rule: 'everybody reads', outcome: 'decides' }])
    expect(explanation.reason).toMatch(/./)
  })

  it.each<[string, Situation, string]>([
    ['not enrolled', { credential: 'none' }, 'downscope credentials import FILE --name '],
    ['disabled', { credential: credentialWith({ state: 'disabled' }) }, 'downscope credentials enable '],
    ['revoked', { credential: credentialWith({ state: 'revoked' }) }, 'downscope credentials destroy '],
  ])('says what helps where the credential of a rule is %s', async (_, situation, hint) => {
    expect((await explain(situation)).hints).toEqual([expect.stringContaining(hint)])
  })

  it.each<[string, readonly string[], readonly string[], readonly string[] | undefined]>([
    ['of a scope too broad', ['compute.readonly'], ['cloud-platform'], ['compute.readonly']],
    ['of one that implies another', ['compute'], ['compute', 'compute.readonly'], ['compute']],
    ['of one within the rule', ['compute'], ['compute.readonly'], ['compute.readonly']],
    ['of what is in part beyond it', ['compute'], ['compute.readonly', 'drive'], ['compute.readonly']],
    ['of nothing that it has', ['compute'], ['drive'], undefined],
  ])('names the narrowest scopes that would do %s', async (_, given, asked, narrowest) => {
    const { narrowestScopes } = await explain({
      rules: [ruleWith({ scopes: given })],
      question: { scopes: asked.map(googleScope) },
    })
    expect(narrowestScopes).toEqual(narrowest?.map(googleScope))
  })

  it('says that somebody switched the caller, or everything, off by hand', async () => {
    const byHand = { by: 'ops/ops', since: epochSeconds(0) }
    const blocked = { issuer: 'https://cluster.example', subject: 'exporter', ...byHand }
    expect(await explain({ blocks: { callers: [blocked] } })).toMatchObject({
      outcome: 'refused',
      error: 'target_unavailable',
      condition: 'caller.blocked',
      rules: [{ rule: 'everybody reads', outcome: 'decides' }],
    })
    expect(await explain({ blocks: { stopped: byHand } })).toMatchObject({
      outcome: 'refused',
      error: 'service_stopped',
      condition: 'service.stopped',
    })
  })

  it('says what the rule gives when a scope is beyond it', async () => {
    const { hints } = await explain({ question: { scopes: ['drive.redonly'] } })
    expect(hints[0]).toBe('"drive.redonly" is no scope of Google: did you mean "drive.readonly"?')
    expect(hints.join()).toContain('"everybody reads" gives: read')
    expect(hints.join()).toContain('excess_scopes: drop')
  })
})
