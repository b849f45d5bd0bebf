import { expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { createPolicyInForce, type PolicyInForceDeps } from '../../src/policy/policy-in-force.ts'
import type { PolicyDocument } from '../../src/ports/policy-source.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakePolicySource, type FakePolicySource } from '../support/fake-policy-source.ts'
import { samplePolicy } from '../support/sample-policy.ts'

const brokerIssuer = 'https://tokens.acme.example'
const clusterIssuer = 'https://container.googleapis.com/v1/projects/acme/locations/eu/clusters/prod'
const otherPolicy = samplePolicy.replace('billing reads report objects', 'renamed')

function start(source: FakePolicySource, changes: Partial<PolicyInForceDeps> = {}) {
  const clock = createFakeClock()
  const lines: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[] = []
  const inForce = createPolicyInForce({
    source,
    parse: (document: PolicyDocument) => parsePolicy(document, { brokerIssuer }),
    clock,
    log: (level, message, fields = {}) => lines.push({ level, message, fields }),
    sharesWork: true,
    isWrittenInPlace: true,
    ...changes,
  })
  const ruleName = async () => (await inForce.current()).policy.rules[0]?.name
  return { clock, lines, inForce, ruleName }
}

test('a changed document is in force for the first request after two seconds', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, ruleName, inForce } = start(source)
  expect(await ruleName()).toBe('billing reads report objects')

  source.write(otherPolicy)
  await clock.advance(1999)
  expect(await ruleName()).toBe('billing reads report objects')
  expect(source.reads()).toBe(1)

  await clock.advance(1)
  expect(await ruleName()).toBe('renamed')
  expect(inForce.status().inForce).toMatchObject({ document: { revision: 'r3', origin: 'file policy.yaml' } })
})

test('an unchanged document is neither parsed nor compiled again', async () => {
  let parsed = 0
  const parse = (document: PolicyDocument) => {
    parsed += 1
    return parsePolicy(document, { brokerIssuer })
  }
  const source = createFakePolicySource(samplePolicy)
  const { clock, inForce } = start(source, { parse })

  const before = await inForce.current()
  await clock.advance(10_000)
  expect(await inForce.current()).toBe(before)
  expect(parsed).toBe(1)
  expect(source.reads()).toBe(2)
})

test('an issuer whose entry means the same stays the same object; a changed one does not', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, inForce } = start(source)
  const before = await inForce.current()

  source.write(otherPolicy.replace('jwks_uri: https://ops', 'jwks_uri: https://keys'))
  await clock.advance(2000)
  const after = await inForce.current()

  expect(after).not.toBe(before)
  expect(after.findIssuer(clusterIssuer)).toBe(before.findIssuer(clusterIssuer))
  expect(after.findIssuer('billing')).toBe(before.findIssuer('billing'))
  expect(after.policy.issuers[0]).toBe(before.policy.issuers[0])
  expect(after.findIssuer('https://ops.acme.example')).not.toBe(before.findIssuer('https://ops.acme.example'))
  expect(after.findIssuer('https://ops.acme.example')?.keys).toMatchObject({ from: 'jwks_uri' })
})

const halfWritten = Array.from({ length: Math.ceil(samplePolicy.length / 50) }, (_, i) =>
  samplePolicy.slice(0, i * 50),
)

test.each<[string, string]>([
  ['an empty document', ''],
  ['octets', '\u0000\uFFFD\u0007'],
  ['two megabytes', 'a: b\n'.repeat(400_000)],
  [
    'an alias bomb',
    `a: &a [x]\n${Array.from({ length: 25 }, (_, i) => `k${i}: &a [${'*a,'.repeat(10)}]`).join('\n')}`,
  ],
  ['an unknown key', `${samplePolicy}surprise: 1\n`],
  ['a policy without what its rules speak of', samplePolicy.replace('name: prod-cluster', 'name: other')],
  ...halfWritten.map((text): [string, string] => [`the first ${text.length} octets`, text]),
])('P25: %s never takes the place of a good policy', async (_, text) => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, lines, inForce, ruleName } = start(source)
  const good = await inForce.current()

  source.write(text)
  for (let look = 0; look < 3; look += 1) {
    await clock.advance(2000)
    expect(await inForce.current()).toBe(good)
  }
  const refused = lines.filter(({ level }) => level === 'error')
  expect(refused).toHaveLength(1)
  expect(inForce.status()).toMatchObject({
    inForce: { document: { revision: 'r2' } },
    lastFault: { revision: 'r3' },
  })
  expect(refused[0]?.fields['reason']).toBe(inForce.status().lastFault?.reason)

  source.write(otherPolicy)
  await clock.advance(2000)
  expect(await ruleName()).toBe('renamed')
  expect(inForce.status()).not.toHaveProperty('lastFault')
})

test('a document that got shorter by whole lines is a change like any other', async () => {
  const twoAdmins = `${samplePolicy}  - callers: [{ issuer: ops, subject: eve }]\n    role: viewer\n`
  const source = createFakePolicySource(twoAdmins)
  const { clock, inForce } = start(source)
  expect((await inForce.current()).policy.admins).toHaveLength(2)

  source.write(samplePolicy)
  await clock.advance(2000)
  expect((await inForce.current()).policy.admins).toHaveLength(1)
})

test('P25: a fault of our own while a policy is read leaves the last good one in force', async () => {
  let isBroken = false
  const parse = (document: PolicyDocument) => {
    if (isBroken) throw new TypeError('a bug')
    return parsePolicy(document, { brokerIssuer })
  }
  const source = createFakePolicySource(samplePolicy)
  const { clock, inForce } = start(source, { parse })
  const good = await inForce.current()

  isBroken = true
  source.write(otherPolicy)
  await clock.advance(2000)
  expect(await inForce.current()).toBe(good)
  expect(inForce.status().lastFault?.reason).toBe('TypeError: a bug')
})

test('a source that is down keeps the last good policy, is logged once, and recovers by itself', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, lines, inForce, ruleName } = start(source)
  const good = await inForce.current()

  source.become('down')
  for (let look = 0; look < 5; look += 1) {
    await clock.advance(60_000)
    expect(await inForce.current()).toBe(good)
  }
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  expect(inForce.status().lastFault).toMatchObject({ reason: 'the disk is gone' })

  source.become('up')
  source.write(otherPolicy)
  await clock.advance(2000)
  expect(await ruleName()).toBe('renamed')
  expect(inForce.status()).not.toHaveProperty('lastFault')
})

test('without a good policy ever, there is none: not for an absent, a broken nor a hanging source', async () => {
  const absent = start(createFakePolicySource())
  await expect(absent.inForce.current()).rejects.toMatchObject({ code: 'policy_unavailable' })

  const broken = start(createFakePolicySource('version: 2'))
  await expect(broken.inForce.current()).rejects.toMatchObject({ code: 'policy_unavailable' })
  expect(broken.inForce.status()).not.toHaveProperty('inForce')

  const source = createFakePolicySource(samplePolicy)
  source.become('hanging')
  const hanging = start(source)
  const outcome = Promise.resolve(hanging.inForce.current()).catch((error: unknown) => error)
  await hanging.clock.advance(2000)
  expect(await outcome).toMatchObject({ code: 'policy_unavailable' })
})

test('a source that hangs costs one request two seconds; the others go on with what is there', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, inForce } = start(source)
  const good = await inForce.current()

  source.become('hanging')
  await clock.advance(2000)
  let isAnswered = false
  const first = Promise.resolve(inForce.current()).then((policy) => {
    isAnswered = true
    return policy
  })
  for (let request = 0; request < 10; request += 1) expect(await inForce.current()).toBe(good)
  expect(isAnswered).toBe(false)
  expect(source.reads()).toBe(2)

  await clock.advance(2000)
  expect(await first).toBe(good)
})

test('after a long pause all requests wait for one look, and none is answered by the old policy', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, ruleName } = start(source)
  await ruleName()

  source.write(otherPolicy)
  await clock.advance(3_600_000)
  const names = await Promise.all(Array.from({ length: 100 }, ruleName))

  expect(new Set(names)).toEqual(new Set(['renamed']))
  expect(source.reads()).toBe(2)
})

test('where requests may not wait for one another, each looks for itself', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, ruleName } = start(source, { sharesWork: false })
  await ruleName()

  source.write(otherPolicy)
  await clock.advance(3_600_000)
  const names = await Promise.all(Array.from({ length: 5 }, ruleName))

  expect(new Set(names)).toEqual(new Set(['renamed']))
  expect(source.reads()).toBe(6)
})

test('an answer after the deadline still counts, unless a later look was quicker', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, ruleName } = start(source)
  await ruleName()

  source.become('hanging')
  source.write(otherPolicy)
  await clock.advance(2000)
  const slow = ruleName()
  await clock.advance(2000)
  expect(await slow).toBe('billing reads report objects')
  source.become('up')
  source.release()
  await clock.advance(0)
  expect(await ruleName()).toBe('renamed')

  source.become('hanging')
  source.write(samplePolicy)
  await clock.advance(2000)
  const slower = ruleName()
  await clock.advance(2000)
  await slower
  source.become('up')
  source.write(samplePolicy.replace('billing reads report objects', 'newest'))
  await clock.advance(2000)
  expect(await ruleName()).toBe('newest')
  source.release()
  await clock.advance(0)
  expect(await ruleName()).toBe('newest')
})

test('a jump of the wall clock neither stops nor hastens the looks', async () => {
  const source = createFakePolicySource(samplePolicy)
  const { clock, ruleName } = start(source)
  await ruleName()

  clock.jump(-86_400)
  await ruleName()
  expect(source.reads()).toBe(1)
  source.write(otherPolicy)
  await clock.advance(2000)
  expect(await ruleName()).toBe('renamed')
})

test('a policy that gives nothing or that nobody may change is in force, and the log warns of it', async () => {
  const { lines, inForce } = start(createFakePolicySource('version: 1\nissuers: []\nrules: []\n'))

  expect((await inForce.current()).policy.rules).toEqual([])
  expect(lines).toMatchObject([
    { level: 'warn', message: 'policy in force', fields: { rules: 0, admins: 0 } },
  ])
})
