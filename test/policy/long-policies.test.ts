import { describe, expect, it } from 'vitest'
import { checkPolicySteps } from '../../src/policy/check-policy.ts'
import { compilePolicy } from '../../src/policy/compile-policy.ts'
import { judgeDocument, readPolicy, readPolicySteps } from '../../src/policy/parse-policy.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { runAtOnce, runInTurns, type Steps } from '../../src/domain/promises.ts'
import { longPolicy } from '../support/long-policy.ts'

const context = { brokerIssuer: 'https://tokens.acme.example' }
const read = (text: string) => readPolicy({ text, revision: '1', origin: 'file p.yaml' }, context)
const head = 'version: 1\nissuers: [{ name: ci, issuer: https://ci.example, keys: { discovery: true } }]\n'

function stepsOf(steps: Steps<unknown>): number {
  let count = 0
  while (steps.next().done !== true) count += 1
  return count
}

describe('a policy of thousands of rules', () => {
  it('is read and checked in many steps, with all else that waits in between', async () => {
    const document = { text: longPolicy({ rules: 3_000 }), revision: '1', origin: 'file p.yaml' }
    expect(stepsOf(readPolicySteps(document, context))).toBeGreaterThan(5)
    expect(stepsOf(checkPolicySteps(read(document.text), []))).toBeGreaterThan(5)
    let turns = 0
    const pause = () => {
      turns += 1
      return Promise.resolve()
    }
    const { policy } = await runInTurns(readPolicySteps(document, context), pause)
    expect([policy.rules.length, turns]).toEqual([3_000, stepsOf(readPolicySteps(document, context))])
  })

  it('may have 4 MiB and no more', () => {
    const filler = (bytes: number) => `${head}rules: []\n#${'x'.repeat(bytes)}\n`
    expect(read(filler(4 * 1024 * 1024 - 200)).policy.rules).toEqual([])
    expect(() => read(filler(4 * 1024 * 1024))).toThrow(/longer than 4 MiB/)
  })

  it.each([
    ['each for a credential of its own', undefined],
    ['all for one credential', 1],
  ])('finds the rule of a caller among them, %s, by trying a few patterns', (_, credentials) => {
    const { policy } = read(
      longPolicy({ rules: 2_000, ...(credentials === undefined ? {} : { credentials }) }),
    )
    const touched = new Set<string>()
    const watched = {
      ...policy,
      rules: policy.rules.map((rule) => ({
        ...rule,
        callers: rule.callers.map((pattern) => ({
          ...pattern,
          get claims() {
            touched.add(rule.name)
            return pattern.claims
          },
        })),
      })),
    }
    const compiled = compilePolicy(watched)
    const caller = (team: number) => ({
      issuer: `https://issuer-${team % 10}.example`,
      issuerName: 'x',
      subject: `system:serviceaccount:team-${team}:worker`,
      claims: { environment: 'production' },
    })
    touched.clear()
    expect(compiled.findRule(caller(1_999), `credential-${1_999 % (credentials ?? 2_000)}`)?.rule.name).toBe(
      'rule-1999',
    )
    expect(compiled.findRule(caller(5_000), 'credential-0')).toBeUndefined()
    expect([...touched]).toEqual(['rule-1999'])
  })

  it('gives a caller whom several rules take what the first of them gives, stars or none', () => {
    const rule = (name: string, subject: string) =>
      `  - { name: ${name}, callers: [{ issuer: ci, subject: "${subject}" }], credential: c, scopes: [a] }\n`
    const subjects = ['team:*', 'team:a', '*', 'team:a*', 't*:b']
    for (let turn = 0; turn < subjects.length; turn += 1) {
      const order = [...subjects.slice(turn), ...subjects.slice(0, turn)]
      const text = `${head}rules:\n${order.map((subject, index) => rule(`r${index}`, subject)).join('')}`
      const compiled = compilePolicy(read(text).policy)
      const find = (subject: string) =>
        compiled.findRule({ issuer: 'https://ci.example', issuerName: 'ci', subject, claims: {} }, 'c')?.rule
          .name
      const first = (...fitting: readonly string[]) =>
        `r${order.findIndex((subject) => fitting.includes(subject))}`
      expect(find('team:a')).toBe(first('team:*', 'team:a'))
      expect(find('team:b')).toBe(first('team:*', 't*:b'))
      expect(find('team:ab')).toBe(first('team:*', 'team:a*'))
      expect(find('team')).toBe(first('*'))
      expect(find('team:')).toBeUndefined()
    }
  })
})

describe('a hostile policy', () => {
  it('does not multiply by aliases: with them at full size it has hardly more values than characters', () => {
    const levels = ['a0: &a0 [x, x, x, x, x, x, x, x]']
    for (let level = 1; level < 8; level += 1)
      levels.push(`a${level}: &a${level} [${Array.from({ length: 8 }, () => `*a${level - 1}`).join(', ')}]`)
    expect(() => read(`${head}${levels.join('\n')}\n`)).toThrow(/holds more than \d+ values/)
  })

  it('takes an honest alias', () => {
    const scopes = Array.from({ length: 20 }, (_, index) => `s${index}`).join(', ')
    const rules = Array.from(
      { length: 10 },
      (_, index) =>
        `  - { name: r${index}, callers: [{ issuer: ci, subject: a }], credential: c${index}, scopes: ${index === 0 ? `&s [${scopes}]` : '*s'} }\n`,
    )
    expect(read(`${head}rules:\n${rules.join('')}`).policy.rules).toHaveLength(10)
  })

  it('of a million faults has a thousand looked at', () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `  - { unknwn${index}: x }\n`).join('')
    const steps = judgeDocument(`${head}rules:\n${keys}`, context)
    const judged = runAtOnce(steps)
    expect(judged.ok ? 0 : judged.faults.length).toBe(1_000)
  })

  it('of thousands of warnings a thousand are told', () => {
    const callers = Array.from({ length: 1_500 }, (_, index) => `{ issuer: ci, subject: a${index} }`)
    const rules = [['{ issuer: ci, subject: a* }'], [...callers, '{ issuer: ci, subject: b }']].map(
      (list, index) =>
        `  - { name: r${index}, callers: [${list.join(', ')}], credential: c, scopes: [openid] }\n`,
    )
    const text = `${head}rules:\n${rules.join('')}`
    expect(runAtOnce(checkPolicySteps(read(text)))).toHaveLength(1_000)
  })

  it.each([
    ['lists of nothing', `${head}rules: [${'[],'.repeat(100_000)}]\n`],
    ['numbers', `${head}rules: [${'1,'.repeat(200_000)}]\n`],
    ['keys', `${head}rules: {${Array.from({ length: 100_000 }, (_, index) => `k${index}: 1`).join(',')}}\n`],
  ])('of nothing but %s is read in many steps, and its places too', (_, text) => {
    expect(stepsOf(judgeDocument(text, context))).toBeGreaterThan(15)
  })

  it('has no mapping of endless length', () => {
    const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}: 1`).join(', ')
    const policy = (claims: string) =>
      `${head}rules:\n  - { name: r, callers: [{ issuer: ci, subject: a, claims: { ${claims} } }], credential: c, scopes: [a] }\n`
    expect(faultsOf(policy(keys(10_001)))).toMatch(/:4:\d+ .*: there are more than 10000 keys/)
    expect(faultsOf(policy(keys(100)))).toBe('')
  })

  it('has no entry of endless length', () => {
    const callers = Array.from({ length: 4_000 }, () => '{ issuer: ci, subject: a }').join(', ')
    const text = `${head}rules:\n  - { name: r, callers: [${callers}], credential: c, scopes: [a] }\n`
    expect(faultsOf(text)).toMatch(/rules\[0\]: holds more than 10000 values: make several entries of it/)
  })

  it('has its shadows looked for by a number of comparisons in proportion to its length', () => {
    const rules = Array.from(
      { length: 3_000 },
      (_, index) =>
        `  - { name: r${index}, callers: [{ issuer: ci, subject: "*", claims: { n: ${index} } }], credential: c, scopes: [a] }\n`,
    )
    const { policy, text } = read(`${head}rules:\n${rules.join('')}`)
    let claimsRead = 0
    const watched = {
      ...policy,
      rules: policy.rules.map((rule) => ({
        ...rule,
        callers: rule.callers.map((pattern) => ({
          ...pattern,
          get claims() {
            claimsRead += 1
            return pattern.claims
          },
        })),
      })),
    }
    runAtOnce(checkPolicySteps({ policy: watched, text }, undefined))
    // Each comparison reads the claims of both; without a bound there would be nine million.
    expect(claimsRead).toBeLessThan(2 * (3_000 * 100 + 10_000) + 20_000)
    expect(claimsRead).toBeGreaterThan(3_000)
  })
})

function faultsOf(text: string): string {
  try {
    read(text)
    return ''
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return error.reason
  }
}
