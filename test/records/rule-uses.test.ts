import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { type RuleUse, createRuleUses, dayOf } from '../../src/records/rule-uses.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createSkippingClock } from '../support/skipping-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createLogBook } from '../support/quiet.ts'
import { createSequence, quickDigest } from '../support/sequence.ts'

const use: RuleUse = {
  rule: 'reads',
  credential: 'reports-sa',
  tokenType: 'access_token',
  scopes: ['b', 'a'],
  resources: [],
}

function createWorld() {
  const clock = createSkippingClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const { log, lines } = createLogBook()
  const ruleUses = createRuleUses({ store, clock, entropy: createSequence(0), sha256: quickDigest, log })
  return { clock, store, ruleUses, lines, now: () => clock.now() }
}

describe('uses of rules', () => {
  it('of one day add up, and what is known already is not written again', async () => {
    const { ruleUses, store, now } = createWorld()
    await ruleUses.note(use, now())
    await ruleUses.note({ ...use, scopes: ['c'], subject: 'user@acme.example', resources: ['//r'] }, now())
    const puts = store.counts.put
    await ruleUses.note({ ...use, scopes: ['a'] }, now())

    expect(store.counts.put).toBe(puts)
    expect(await ruleUses.since(now(), [])).toEqual([
      {
        day: dayOf(now()),
        rule: 'reads',
        credential: 'reports-sa',
        tokenTypes: ['access_token'],
        scopes: ['a', 'b', 'c'],
        wantedAll: false,
        subjects: ['user@acme.example'],
        audiences: [],
        resources: ['//r'],
        wantedUnbounded: true,
        isCut: false,
      },
    ])
  })

  it('say when somebody wanted all there is', async () => {
    const { ruleUses, now } = createWorld()
    await ruleUses.note({ ...use, scopes: undefined, resources: ['//r'] }, now())

    expect(await ruleUses.since(now(), [])).toMatchObject([
      { wantedAll: true, wantedUnbounded: false, scopes: [] },
    ])
  })

  it('are found from a day on, whatever the hour, page after page', async () => {
    const { ruleUses, now, clock } = createWorld()
    const today = dayOf(now())
    const yesterday = later(today, seconds(-1))
    await ruleUses.note(use, later(yesterday, seconds(-86_400)))
    for (let rule = 0; rule < 250; rule += 1) await ruleUses.note({ ...use, rule: `rule ${rule}` }, yesterday)
    await ruleUses.note(use, clock.now())

    const found = await ruleUses.since(yesterday, [])
    expect(found).toHaveLength(251)
    expect(found.at(-1)).toMatchObject({ day: today, rule: 'reads' })
    expect(await ruleUses.since(today, [])).toHaveLength(1)
  })

  it('stay small, and say that they are cut', async () => {
    const { ruleUses, now } = createWorld()
    const scopes = Array.from({ length: 700 }, (_, index) => `s${index}`)
    await ruleUses.note({ ...use, scopes }, now())

    const [day] = await ruleUses.since(now(), [])
    expect(day).toMatchObject({ isCut: true })
    expect(day?.scopes).toHaveLength(500)
  })

  it('of eight instances at once are all there', async () => {
    const { ruleUses, now } = createWorld()
    const scopes = Array.from({ length: 8 }, (_, index) => `s${index}`)
    await Promise.all(scopes.map((scope) => ruleUses.note({ ...use, scopes: [scope] }, now())))

    expect(await ruleUses.since(now(), [])).toMatchObject([{ scopes }])
  })

  it.each([
    ['of another schema', { schema: 2, day: 1, rule: 'other', credential: 'other' }],
    ['that is none', {}],
  ])('P25: of a document %s all is taken for used, and the others are read', async (_, garbage) => {
    const { ruleUses, store, lines, now } = createWorld()
    await ruleUses.note(use, now())
    const [stored] = await store.list({ prefix: 'usage/', limit: 1 })
    await store.put(stored?.key ?? '', garbage)
    await ruleUses.note({ ...use, rule: 'other' }, now())

    const rules = [{ rule: 'reads', credential: 'reports-sa' }]
    const days = await ruleUses.since(now(), rules)
    expect(days.find(({ rule }) => rule === 'reads')).toMatchObject({
      day: dayOf(now()),
      credential: 'reports-sa',
      tokenTypes: ['access_token', 'id_token', 'api_key', 'signature'],
      wantedAll: true,
      isCut: true,
    })
    expect(days.find(({ rule }) => rule === 'other')).toMatchObject({ scopes: ['a', 'b'], isCut: false })
    expect(lines.map(({ fields }) => fields['key'])).toEqual([stored?.key])

    // The next use makes it whole again, and what was lost stays said.
    await ruleUses.note(use, now())
    expect((await ruleUses.since(now(), [])).find(({ rule }) => rule === 'reads')).toMatchObject({
      scopes: ['a', 'b'],
      isCut: true,
    })
    expect(lines).toHaveLength(1)
  })

  it('P25: a document of no rule that there is now is left out by name', async () => {
    const { ruleUses, store, lines, now } = createWorld()
    await ruleUses.note(use, now())
    const [stored] = await store.list({ prefix: 'usage/', limit: 1 })
    await store.put(stored?.key ?? '', { schema: 2 })

    expect(await ruleUses.since(now(), [{ rule: 'another', credential: 'reports-sa' }])).toEqual([])
    expect(lines.map(({ fields }) => fields['key'])).toEqual([stored?.key])
  })
})
