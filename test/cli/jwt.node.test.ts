import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, jwtVerify, type CryptoKey } from 'jose'
import { IdentityPoolClient, PluggableAuthClient, type PluggableAuthClientOptions } from 'google-auth-library'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { parsePublicJwk } from '../../src/domain/jwk.ts'
import { createClientWorld, reading, type ClientWorld } from '../support/clients/client-world.ts'
import { repository } from '../support/run-node.ts'
import { runCli } from '../support/run-cli.ts'

let world: ClientWorld
let keyFile = ''
let publicKey: CryptoKey
const at = (name: string): string => join(world.folder, name)

beforeAll(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true })
  publicKey = pair.publicKey
  const judged = parsePublicJwk({ ...(await exportJWK(pair.publicKey)), kid: 'batch-1' })
  if (!judged.ok) throw new Error(judged.fault)
  world = await createClientWorld([{ name: 'batch', jwk: judged.value }])
  keyFile = world.write(
    'batch.jwk.json',
    JSON.stringify({ ...(await exportJWK(pair.privateKey)), kid: 'batch-1', iss: 'batch', sub: 'batch' }),
  )
  world.write('workload.jwt', await world.subjectToken())
  return () => world.close()
}, 60_000)

describe('downscope jwt', () => {
  test('signs a JWT for the broker, and prints it alone', async () => {
    const { status, stdout, stderr } = await runCli(['jwt', '--broker', world.url, '--key', keyFile])
    const { payload, protectedHeader } = await jwtVerify(stdout.trim(), publicKey)

    expect([status, stderr]).toEqual([0, ''])
    expect(payload).toMatchObject({ iss: 'batch', sub: 'batch', aud: world.url })
    expect(protectedHeader).toMatchObject({ alg: 'ES256', kid: 'batch-1' })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60)
  })

  test('finds what the platform wrote', async () => {
    const { stdout } = await runCli(['jwt', '--broker', world.url, '--jwt-file', at('workload.jwt')])
    expect(stdout).toBe(readFileSync(at('workload.jwt'), 'utf8'))
  })

  test('without a proof is the administrator of the environment', async () => {
    const env = { DOWNSCOPE_URL: world.url, DOWNSCOPE_ADMIN_KEY: keyFile }
    const { payload } = await jwtVerify((await runCli(['jwt'], { env })).stdout.trim(), publicKey)
    expect(payload).toMatchObject({ iss: 'batch', aud: world.url })
    expect((await runCli(['jwt', '--broker', world.url])).status).toBe(2)
  })

  test('--executable prints version 1, and nothing on standard error, whatever fails', async () => {
    const { stdout, stderr } = await runCli(['jwt', '--broker', world.url, '--key', keyFile, '--executable'])
    const answer = JSON.parse(stdout) as Record<string, unknown>
    expect(answer).toEqual({
      version: 1,
      success: true,
      token_type: 'urn:ietf:params:oauth:token-type:jwt',
      id_token: expect.stringMatching(/^ey/) as unknown,
      expiration_time: expect.any(Number) as unknown,
    })
    expect(stderr).toBe('')

    const failed = await runCli(['jwt', '--broker', world.url, '--key', at('no.json'), '--executable'])
    expect(failed).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(failed.stdout)).toEqual({
      version: 1,
      success: false,
      code: 'DOWNSCOPE',
      message: expect.stringContaining('there is no such file') as unknown,
    })
  })
})

describe('downscope credential-file', () => {
  test('for a file: Google’s library gets a token by it', async () => {
    const output = at('by-file.json')
    const args = ['credential-file', 'reports', '--broker', world.url, '--jwt-file', at('workload.jwt')]
    const { status, stderr } = await runCli([...args, '--output', output])
    expect([status, stderr]).toEqual([0, expect.stringContaining(`GOOGLE_APPLICATION_CREDENTIALS=${output}`)])
    expect(statSync(output).mode & 0o777).toBe(0o600)

    const file = JSON.parse(readFileSync(output, 'utf8')) as ConstructorParameters<
      typeof IdentityPoolClient
    >[0]
    expect(file).toEqual({
      type: 'external_account',
      audience: `//${new URL(world.url).host}/credentials/reports`,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${world.url}/v1/token`,
      token_info_url: `${world.url}/v1/introspect`,
      credential_source: { file: at('workload.jwt') },
    })
    const { token } = await new IdentityPoolClient({ ...file, scopes: [reading] }).getAccessToken()
    expect(world.carried(token).scopes).toEqual([reading])
    expect((await runCli([...args, '--output', output])).status).toBe(2)
  })

  test('for a key: Google’s library runs downscope, which signs each time', async () => {
    vi.stubEnv('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES', '1')
    const argv = process.argv[1]
    process.argv[1] = join(repository, 'src/cli.ts')
    const made = await runCli(['credential-file', 'reports', '--broker', world.url, '--key', keyFile])
    process.argv[1] = argv ?? ''
    expect(made.stderr).toContain('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1')

    const file = JSON.parse(made.stdout) as PluggableAuthClientOptions
    // On a busy machine Node takes seconds to start.
    expect(file.credential_source.executable.timeout_millis).toBe(30_000)
    const { token } = await new PluggableAuthClient({ ...file, scopes: [reading] }).getAccessToken()
    expect(world.carried(token).scopes).toEqual([reading])
  }, 30_000)

  test('for a URL, with headers out of a file, and for the metadata server', async () => {
    const base = ['credential-file', 'reports', '--broker', world.url]
    const headers = world.write('headers.txt', 'X-Workload: exporter\n')
    const byUrl = await runCli([
      ...base,
      '--jwt-url',
      'http://127.0.0.1:1/token',
      '--header',
      headers,
      '--json-field',
      'value',
    ])
    const byPlatform = await runCli([...base, '--platform', 'gce'])

    expect((JSON.parse(byUrl.stdout) as { credential_source: unknown }).credential_source).toEqual({
      url: 'http://127.0.0.1:1/token',
      headers: { 'X-Workload': 'exporter' },
      format: { type: 'json', subject_token_field_name: 'value' },
    })
    expect((JSON.parse(byPlatform.stdout) as { credential_source: unknown }).credential_source).toEqual({
      url: `http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience=${encodeURIComponent(world.url)}&format=full`,
      headers: { 'Metadata-Flavor': 'Google' },
    })
  })

  test('--impersonation names the account at the broker', async () => {
    const { stdout } = await runCli([
      'credential-file',
      'reports-sa',
      '--broker',
      'https://tokens.acme.example:8443',
      '--jwt-file',
      '/jwt',
      '--impersonation',
    ])
    expect(JSON.parse(stdout)).toMatchObject({
      audience: '//tokens.acme.example:8443',
      service_account_impersonation_url:
        'https://tokens.acme.example:8443/v1/projects/-/serviceAccounts/reports-sa@tokens.acme.example:generateAccessToken',
    })
  })

  test.each([
    [[], 'JWT required'],
    [['--jwt-file', 'a', '--key', 'b'], 'JWT required'],
    [['--platform', 'github'], 'agent exec'],
    [['--key', 'my key.json'], 'has a space in it'],
  ])('%j: says what to do', async (more, sentence) => {
    const { status, stdout, stderr } = await runCli([
      'credential-file',
      'x',
      '--broker',
      'https://a.example',
      ...more,
    ])
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(sentence)
  })
})
