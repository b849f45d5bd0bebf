import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildClient } from '../../infra/build-client.ts'
import { looksLikeJwt, startFakeBroker } from '../support/fake-broker.ts'
import { repository, runProgram } from '../support/run-node.ts'

/** A project that has installed the package: the built client, and of all packages jose alone. */
let folder = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'downscope-client-'))
  await buildClient(join(folder, 'downscope'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(repository, 'node_modules/jose'), join(folder, 'node_modules/jose'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  return () => rmSync(folder, { recursive: true })
}, 60_000)

const program = (url: string): string => `
import { createTokenSource, TokenError } from './downscope/client.js'
const proof = () => ${JSON.stringify(looksLikeJwt())}
const source = createTokenSource({ url: ${JSON.stringify(url)}, credential: 'reports', proof, scopes: ['a'] })
console.log((await source.getToken()).token)
try { createTokenSource({ url: 'http://elsewhere.example', credential: 'x', proof }) }
catch (error) { console.log(error instanceof TokenError) }
`

describe('the built client', () => {
  test('needs jose alone', async () => {
    const broker = await startFakeBroker()
    writeFileSync(join(folder, 'use.js'), program(broker.url))
    const { status, stdout, stderr } = await runProgram(process.execPath, ['use.js'], { cwd: folder })
    await broker.close()

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'token-1\ntrue\n', stderr: '' })
    expect(readdirSync(join(folder, 'node_modules'))).toEqual(['jose'])
  })

  test('has types that a project can compile against, and that find a mistake', async () => {
    symlinkSync(join(repository, 'node_modules/@types'), join(folder, 'node_modules/@types'))
    symlinkSync(join(repository, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'))
    const compile = async (text: string) => {
      writeFileSync(join(folder, 'use.ts'), text)
      const tsc = join(repository, 'node_modules/typescript/bin/tsc')
      const args = [
        tsc,
        '--strict',
        '--noEmit',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--types',
        'node',
        'use.ts',
      ]
      return runProgram(process.execPath, args, { cwd: folder })
    }
    const good = `import { createTokenSource, type Token } from './downscope/client.js'
const source = createTokenSource({ url: 'https://a.example', credential: 'x', proof: async () => 'jwt' })
export const token: Promise<Token> = source.getToken({ scopes: ['a'] })`

    expect(await compile(good)).toMatchObject({ status: 0, stdout: '' })
    expect((await compile(good.replace("credential: 'x'", 'credential: 1'))).stdout).toContain('TS2322')
  }, 30_000)
})
