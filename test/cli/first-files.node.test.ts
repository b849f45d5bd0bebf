import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFirstFiles } from '../../src/cli/dev/first-files.ts'
import { judgePolicy } from '../../src/policy/policy-warnings.ts'
import { jsonMembers } from '../support/json-members.ts'

/** The folder of `downscope dev`, whatever is there of it already. */
let folder = ''
const file = (name: string) => join(folder, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const [admin, service] = ['admin.jwk.json', 'my-service.jwk.json'] as const
const people = [admin, service]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'downscope-dev-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the files of downscope dev', () => {
  test('are made once, and stay', () => {
    const first = makeFirstFiles(folder)
    const texts = [...people, 'policy.yaml'].map(read)

    expect(makeFirstFiles(folder)).toEqual(first)
    expect([...people, 'policy.yaml'].map(read)).toEqual(texts)
    expect(judge()).toMatchObject({ ok: true })
  })

  test.each<[string, readonly string[]]>([
    ['the policy', ['policy.yaml']],
    ['all that comes after the first key, as in a start that was interrupted', ['policy.yaml', service]],
    ['policy and keys', ['policy.yaml', ...people]],
  ])('without %s the rest stays, and the policy that is made trusts the keys', (_, missing) => {
    makeFirstFiles(folder)
    const kept = people.filter((name) => !missing.includes(name))
    const texts = kept.map(read)
    for (const name of missing) rmSync(file(name))

    makeFirstFiles(folder)

    expect(kept.map(read)).toEqual(texts)
    expect(judge()).toMatchObject({ ok: true })
    for (const name of people) expect(read('policy.yaml')).toContain(jsonMembers(read(name))['x'])
  })

  test('no private key comes into the policy', () => {
    makeFirstFiles(folder)
    rmSync(file('policy.yaml'))
    makeFirstFiles(folder)

    for (const name of people) expect(read('policy.yaml')).not.toContain(jsonMembers(read(name))['d'])
  })

  test('nor does any other private part of a key of another type', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = { ...privateKey.export({ format: 'jwk' }), key_ops: ['sign'], iss: 'ops', sub: 'ops' }
    writeFileSync(file(admin), JSON.stringify(jwk))

    makeFirstFiles(folder)

    expect(judge()).toMatchObject({ ok: true })
    const { n, d, p, q, dp, dq, qi } = jsonMembers(JSON.stringify(jwk))
    expect(read('policy.yaml')).toContain(n)
    for (const secret of [d, p, q, dp, dq, qi]) expect(read('policy.yaml')).not.toContain(secret)
  })

  test('a key file that was cut off is named, and what to do', () => {
    writeFileSync(file('admin.jwk.json'), '{"kty":"EC"')

    expect(() => makeFirstFiles(folder)).toThrow(/admin\.jwk\.json holds no key of ops/)
  })
})

function judge() {
  return judgePolicy({
    text: read('policy.yaml'),
    origin: 'policy.yaml',
    brokerIssuer: 'http://127.0.0.1:8080',
  })
}
