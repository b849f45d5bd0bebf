import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { generateSigningKey } from '../../infra/keys/generate-signing-key.ts'
import { parseSigningKeys } from '../../src/adapters/google-identity/parse-signing-keys.ts'
import { createSignAssertion } from '../../src/adapters/google-identity/signing-keys.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { createSequence } from '../support/sequence.ts'
import { poolProvider } from '../support/signing-key-set.ts'

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-signing-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('infra/keys/generate-signing-key.ts', () => {
  test.each([
    [[], 'ES256'],
    [['ES256'], 'ES256'],
    [['RS256'], 'RS256'],
  ] as const)('%j makes a key that signs by %s', async (args, alg) => {
    const [key] = keysOf(await generateSigningKey(args))
    const sign = createSignAssertion({
      key,
      issuer: 'https://tokens.acme.example',
      provider: poolProvider,
      clock: createFakeClock(),
      entropy: createSequence(),
    })

    expect(key.published).toMatchObject({ alg, kid: expect.stringMatching(/^[\w-]{43}$/) as unknown })
    await expect(sign()).resolves.toBeDefined()
  })

  test('a key that is added comes last: it is published, and the old one signs', async () => {
    const file = join(folder, 'keys.json')
    const before = await generateSigningKey([])
    await writeFile(file, before)
    const after = keysOf(await generateSigningKey(['RS256', 'add', file]))

    expect(after.map(({ published }) => published.alg)).toStrictEqual(['ES256', 'RS256'])
    expect(after[0].published).toStrictEqual(keysOf(before)[0].published)
    expect(JSON.parse(after[0].privateJwk.reveal())).toHaveProperty('d')
  })

  test('the program prints the set and nothing else, and says what is wrong on standard error alone', async () => {
    const script = join(repository, 'infra/keys/generate-signing-key.ts')
    const run = (...args: string[]) => runProgram(process.execPath, [script, ...args], { cwd: folder })
    const made = await run()
    await writeFile(join(folder, 'wrong.json'), '{"keys":[{"kty":"oct","k":"hunter2","kid":"1"}]}')

    expect(made).toMatchObject({ status: 0, stderr: '' })
    expect(keysOf(made.stdout)).toHaveLength(1)
    for (const args of [['HS256'], ['add'], ['ES256', 'RS256'], ['add', 'a', 'b']])
      expect(await run(...args)).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(/^usage/) as unknown,
      })
    expect(await run('add', 'wrong.json')).toStrictEqual({
      status: 1,
      stdout: '',
      stderr: 'wrong.json key 1: "kty" must be EC or RSA\n',
    })
  })
})

function keysOf(text: string) {
  const reading = parseSigningKeys(text)
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  return reading.keys
}
