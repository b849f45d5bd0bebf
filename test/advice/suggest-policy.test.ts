import { describe, expect, it } from 'vitest'
import { enoughScopes } from '../../src/policy/scope-catalogue.ts'
import { createMatchText } from '../../src/policy/match-caller.ts'
import { type RuleUse, createRuleUses } from '../../src/records/rule-uses.ts'
import { createSuggestPolicy } from '../../src/advice/suggest-policy.ts'
import { createCredentialWorld, keyCredential, refreshCredential } from '../support/credential-world.ts'
import { policyOf, ruleWith } from '../support/policies.ts'
import { createLogBook } from '../support/quiet.ts'
import { quickDigest } from '../support/sequence.ts'

const use: RuleUse = {
  rule: 'everybody reads',
  credential: 'reports',
  tokenType: 'access_token',
  scopes: ['read'],
  resources: [],
}

async function suggest(rules: readonly object[], uses: readonly RuleUse[], days = 30, apartMs = 0) {
  const world = createCredentialWorld()
  const { clock } = world
  await world.credentials.add({ ...keyCredential, name: 'reports' })
  await world.credentials.add(refreshCredential)
  const ruleUses = createRuleUses({
    ...world,
    entropy: { uuid: () => 'x', octets: (count) => new Uint8Array(count), fraction: () => 0 },
    sha256: quickDigest,
    log: createLogBook().log,
  })
  for (const one of uses) {
    await ruleUses.note(one, clock.now())
    await clock.advance(apartMs)
  }
  await clock.advance(2 * 86_400_000)
  const suggestPolicy = createSuggestPolicy({
    policy: () => Promise.resolve(policyOf(rules)),
    ruleUses,
    credentials: world.credentials,
    matchText: createMatchText,
    enoughScopes,
    clock,
  })
  return suggestPolicy(days)
}

const ofRule = async (rule: object, uses: readonly Partial<RuleUse>[]) =>
  (
    await suggest(
      [ruleWith(rule)],
      uses.map((one) => ({ ...use, ...one })),
    )
  ).rules[0]

describe('the policy that use suggests', () => {
  it('keeps a rule all of which was asked for by name', async () => {
    expect(
      await ofRule({ scopes: ['read', 'write'] }, [{ scopes: ['read'] }, { scopes: ['write'] }]),
    ).toMatchObject({
      advice: 'keep',
      changes: [],
      notes: [],
    })
  })

  it('narrows a broad scope to what was asked for of it, and says short names where the rule could', async () => {
    const google = (name: string) => `https://www.googleapis.com/auth/${name}`
    const changes = async (scopes: readonly string[], used: readonly string[]) =>
      (await ofRule({ scopes }, [{ scopes: used.map(google) }]))?.changes.map(({ enough }) => enough)

    expect(await changes(['compute', 'drive'], ['compute.readonly'])).toEqual([['compute.readonly']])
    expect(await changes(['compute'], ['compute', 'compute.readonly'])).toEqual([])
    expect(await changes([google('compute')], ['compute'])).toEqual([])
    expect(await changes(['drive', google('gmail.send')], ['gmail.send'])).toEqual([[google('gmail.send')]])
  })

  it('narrows scopes to those that were asked for', async () => {
    expect(await ofRule({ scopes: ['read', 'write'] }, [{ scopes: ['read'] }])).toMatchObject({
      advice: 'narrow',
      changes: [{ member: 'scopes', now: ['read', 'write'], enough: ['read'] }],
    })
  })

  it('narrows nothing that somebody wanted whole, and says so', async () => {
    const suggestion = await ofRule({ scopes: ['read', 'write'] }, [
      { scopes: ['read'] },
      { scopes: undefined },
    ])
    expect(suggestion).toMatchObject({ advice: 'keep', changes: [] })
    expect(suggestion?.notes.join()).toContain('asked for every scope')
  })

  it('removes a rule that gave nothing in these days', async () => {
    expect(await ofRule({}, [])).toEqual({
      rule: 'everybody reads',
      credential: 'reports',
      advice: 'remove',
      changes: [],
      notes: [],
    })
    expect((await suggest([ruleWith()], [use], 1)).rules).toMatchObject([{ advice: 'remove' }])
    expect((await suggest([ruleWith()], [use], 3)).rules).toMatchObject([{ advice: 'keep' }])
  })

  it('takes out users that nobody acted for, and audiences and token types that nobody wanted', async () => {
    const rule = {
      subjects: ['*@acme.example', 'boss@other.example'],
      token_types: ['access_token', 'id_token'],
      id_token_audiences: ['https://a.example', 'https://b.example'],
    }
    expect(
      await ofRule(rule, [
        { subject: 'user@acme.example' },
        { tokenType: 'id_token', scopes: undefined, audience: 'https://b.example' },
      ]),
    ).toMatchObject({
      changes: [
        { member: 'subjects', enough: ['*@acme.example'] },
        { member: 'id_token_audiences', enough: ['https://b.example'] },
      ],
    })
    expect(await ofRule(rule, [{}])).toMatchObject({
      changes: [
        { member: 'token_types', enough: ['access_token'] },
        { member: 'subjects', enough: [] },
        { member: 'id_token_audiences', enough: [] },
      ],
    })
  })

  it('speaks of a boundary when every caller brought the same kind', async () => {
    const suggestion = await ofRule({}, [{ resources: ['//bucket'] }])
    expect(suggestion?.notes.join()).toContain('//bucket')
    expect((await ofRule({}, [{ resources: ['//bucket'] }, {}]))?.notes).toEqual([])
  })

  it('does not trust lists that are cut', async () => {
    const scopes = Array.from({ length: 600 }, (_, index) => `s${index}`)
    const rule = { scopes: ['read', ...scopes] }
    const suggestion = await ofRule(rule, [{ scopes }])
    expect(suggestion).toMatchObject({ changes: [] })
    expect(suggestion?.notes.join()).toContain('not every use is known')
    // One list that is cut is enough, however many others are whole.
    const onTwoDays = await suggest([ruleWith(rule)], [{ ...use, scopes }, use], 30, 86_400_000)
    expect(onTwoDays.rules[0]?.notes.join()).toContain('not every use is known')
  })

  it('names credentials that no rule drew on, and since when it knows', async () => {
    const suggestion = await suggest([ruleWith()], [use])
    expect(suggestion.unusedCredentials).toEqual(['calendar-user'])
    expect(suggestion.observedSince).toBeDefined()
    expect((await suggest([ruleWith()], [])).observedSince).toBeUndefined()
  })
})
