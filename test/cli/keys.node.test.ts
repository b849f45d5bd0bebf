import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseSigningKeys, createSignAssertion } from '../../src/adapters/google-identity/signing-keys.ts'
import { parseLocalKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { personIn } from '../../src/cli/terminal.ts'
import { judgePolicy } from '../../src/policy/policy-warnings.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { runCli } from '../support/run-cli.ts'
import { createSequence } from '../support/sequence.ts'
import { poolProvider } from '../support/signing-key-set.ts'

let folder = ''
const file = (name: string) => join(folder, name)
const generate = (...args: string[]) => runCli(['keys', 'generate', ...args])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-keys-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('keys generate sealing', () => {
  test.each(['k1', 'Prod.2026-11_a', 'a'.repeat(32)])(
    'a key called %s is one that a broker takes',
    async (kid) => {
      const { stdout } = await generate('sealing', '--kid', kid)

      expect(parseLocalKeys(stdout)).toMatchObject({ ok: true, value: [{ kid }] })
    },
  )

  test.each(['_prod', '.a', 'a'.repeat(33), 'a b', 'a,b', 'a:b', 'ä'])(
    'no key is called %s: no broker would take it',
    async (kid) => {
      expect(parseLocalKeys(`${kid}:${btoa('0'.repeat(32))}`)).toMatchObject({ ok: false })
      expect(await generate('sealing', '--kid', kid)).toMatchObject({ status: 2, stdout: '' })
    },
  )

  test('two of one day stand in one ring, in the order of their names', async () => {
    const clock = vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-24T09:59:59Z') })
    const older = (await generate('sealing')).stdout
    clock.setSystemTime(new Date('2026-11-24T10:00:00Z'))
    const newer = (await generate('sealing')).stdout
    clock.useRealTimers()

    expect(parseLocalKeys(`${newer},${older}`)).toMatchObject({
      ok: true,
      value: [{ kid: 'k20261124-100000' }, { kid: 'k20261124-095959' }],
    })
  })
})

describe('keys generate signing', () => {
  test.each([
    [[], 'ES256'],
    [['--alg', 'ES256'], 'ES256'],
    [['--alg', 'RS256'], 'RS256'],
  ] as const)('%j makes a key that signs by %s', async (args, alg) => {
    const keys = keysOf((await generate('signing', ...args)).stdout)
    const sign = createSignAssertion({
      keys,
      issuer: 'https://tokens.acme.example',
      provider: poolProvider,
      clock: createFakeClock(),
      entropy: createSequence(),
    })

    expect(keys[0]).not.toHaveProperty('signsFrom')
    expect(keys[0].published).toMatchObject({ alg, kid: expect.stringMatching(/^[\w-]{43}$/) as unknown })
    await expect(sign()).resolves.toBeDefined()
  })

  test('a key that is added is published, and signs after a day, or when it is told to', async () => {
    const hour = 3600
    const soon = () => Math.floor(Date.now() / 1000)
    await generate('signing', file('keys.json'))
    const before = keysOf(await readFile(file('keys.json'), 'utf8'))
    const after = keysOf((await generate('signing', '--add-to', file('keys.json'), '--alg', 'RS256')).stdout)

    expect(after.map(({ published }) => published.alg)).toStrictEqual(['ES256', 'RS256'])
    expect(after[0].published).toStrictEqual(before[0].published)
    expect(JSON.parse(after[0].privateJwk.reveal())).toHaveProperty('d')
    expect(after[0]).not.toHaveProperty('signsFrom')
    expect(Number(after[1]?.signsFrom) - soon()).toBeGreaterThan(23 * hour)
    expect(Number(after[1]?.signsFrom) - soon()).toBeLessThanOrEqual(24 * hour)

    await generate('signing', file('both.json'), '--add-to', file('keys.json'))
    const { stdout } = await generate('signing', '--add-to', file('both.json'), '--signs-in', '0')
    const [, second, third] = keysOf(stdout)
    expect(Number(third?.signsFrom)).toBe(Number(second?.signsFrom) + 1)
  })

  test.each(['soon', '-1', '1.5', '99999'])('--signs-in %s is no number of hours', async (hours) => {
    const { status, stderr } = await generate('signing', `--signs-in=${hours}`)

    expect(status).toBe(2)
    expect(stderr).toContain('--signs-in is a whole number of hours')
  })

  test('a set that is none is told on standard error alone, and not repeated', async () => {
    await writeFile(file('wrong.json'), '{"keys":[{"kty":"oct","k":"hunter2","kid":"1"}]}')
    const { status, stdout, stderr } = await generate('signing', '--add-to', file('wrong.json'))

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain('wrong.json key 1: "kty" must be EC or RSA')
    expect(stderr).not.toContain('hunter2')
  })
})

describe('keys generate admin and caller', () => {
  test('what is printed fits into a policy, and names whose key the file is', async () => {
    const { status, stdout } = await generate('admin', file('admin.json'))
    const key: unknown = JSON.parse(await readFile(file('admin.json'), 'utf8'))

    expect(status).toBe(0)
    expect(key).toMatchObject({ iss: 'ops', sub: 'ops', d: expect.any(String) as unknown })
    expect(judge(stdout)).toMatchObject({
      ok: true,
    })
    expect((await stat(file('admin.json'))).mode & 0o077).toBe(0)
  })

  test('a caller of a platform is not made to sign its own JWTs', async () => {
    const people = ['--issuer', 'https://login.acme.example', '--subject', 'kim']
    const { stdout } = await generate('admin', file('kim.json'), ...people)

    expect(judge(stdout)).toMatchObject({
      ok: true,
    })
    expect(stdout).not.toContain('self_issued')
  })

  test('a file that is there is never written over', async () => {
    await writeFile(file('there'), 'mine')

    expect(await generate('caller', file('there'), '--issuer', 'billing')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('it exists already') as unknown,
    })
    expect(await readFile(file('there'), 'utf8')).toBe('mine')
  })
})

function judge(part: string) {
  return judgePolicy({
    text: `version: 1\n${part}`,
    origin: 'x',
    brokerIssuer: 'https://tokens.acme.example',
  })
}

function keysOf(text: string) {
  const reading = parseSigningKeys(text)
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  return reading.value
}

test.each([
  { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
  { kty: 'OKP', crv: 'Ed25519', x: 'x' },
  { kty: 'RSA', n: 'n', e: 'e' },
])('what everybody may see of a key is whole, and nothing else is in it: %j', (key) => {
  const known = { ...key, kid: 'k', alg: 'a' }
  const text = JSON.stringify({ ...known, d: 'd', p: 'p', iss: 'ann', sub: 'ann' })
  expect(personIn(text)?.publicJwk).toEqual(known)
})
