import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  ExternalAccountClient,
  GoogleAuth,
  IdentityPoolClient,
  PluggableAuthClient,
} from 'google-auth-library'
import { exportJWK, exportPKCS8, generateKeyPair, importPKCS8, SignJWT } from 'jose'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { parsePublicJwk } from '../../src/domain/jwk.ts'
import {
  createClientWorld,
  mail,
  reading,
  writing,
  type ClientWorld,
} from '../support/clients/client-world.ts'
import { externalAccount, type CredentialSource } from '../support/clients/external-account.ts'
import { siteHeaders, startSubjectTokenSite } from '../support/clients/subject-token-site.ts'

const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'
const signer = 'signer'

let world: ClientWorld
let keyPath: string
/** A file with a workload's token that may come again. */
let tokenFile: string

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const judged = parsePublicJwk(await exportJWK(publicKey))
  if (!judged.ok) throw new Error(judged.fault)
  world = await createClientWorld([{ name: signer, jwk: judged.value }])
  keyPath = world.write('key.pem', await exportPKCS8(privateKey))
  tokenFile = world.write('workload.jwt', await world.subjectToken())
  return () => world.close()
}, 60_000)

afterEach(() => vi.useRealTimers())

describe('google-auth-library with an external_account file', () => {
  test('gets a token that carries the scope asked for and no other', async () => {
    const heard = world.proxy.listen()
    const { token } = await clientOf('reports', { file: tokenFile }, [reading]).getAccessToken()

    expect(world.carried(token)).toMatchObject({ kind: 'service_account', scopes: [reading] })
    const [request] = heard()
    expect(Object.fromEntries(request?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: `//${new URL(world.url).host}/credentials/reports`,
      scope: reading,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: readFileSync(tokenFile, 'utf8'),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    })
    expect(request?.form.get('subject_token')).toMatch(/\n$/)
    expect(request?.headers['x-goog-api-client']).toContain('google-byoid-sdk source/file')
    expect(request?.headers.authorization).toBeUndefined()
  })

  test('asks once and keeps the token until 5 minutes are left of it, then asks again', async () => {
    const client = clientOf('reports', { file: tokenFile }, [reading])
    const heard = world.proxy.listen()
    const { token } = await client.getAccessToken()
    const expiresAt = client.credentials.expiry_date ?? 0
    expect(expiresAt - Date.now()).toBeGreaterThan(50 * 60_000)

    vi.useFakeTimers({ toFake: ['Date'], now: expiresAt - 301_000 })
    expect((await client.getAccessToken()).token).toBe(token)
    expect(heard()).toHaveLength(1)

    vi.setSystemTime(expiresAt - 299_000)
    expect(world.carried((await client.getAccessToken()).token).scopes).toEqual([reading])
    expect(heard()).toHaveLength(2)
  })

  test('that asks ten times at once makes one exchange', async () => {
    const client = clientOf('reports', { file: tokenFile }, [mail])
    const heard = world.proxy.listen()
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.getAccessToken()))

    expect(heard()).toHaveLength(1)
    expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
    expect(world.carried(answers[0]?.token).scopes).toEqual([mail])
  })

  test('gets the subject token from a URL, with headers, out of JSON', async () => {
    const site = await startSubjectTokenSite(world.subjectToken)
    const source = {
      url: `${site.url}/token`,
      headers: siteHeaders,
      format: { type: 'json', subject_token_field_name: 'value' },
    } as const
    try {
      const { token } = await clientOf('reports', source, [reading]).getAccessToken()
      expect(world.carried(token).scopes).toEqual([reading])
    } finally {
      await site.close()
    }
  })

  test('P6: cannot use an assertion of an issuer with replay: once a second time', async () => {
    const claims = { iss: signer, sub: signer, aud: world.url, jti: 'the only one' }
    const assertion = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuedAt()
      .setExpirationTime('2m')
      .sign(await importPKCS8(readFileSync(keyPath, 'utf8'), 'ES256'))
    const file = world.write('signer.jwt', assertion)
    const first = await clientOf('reports', { file }, [reading]).getAccessToken()

    expect(world.carried(first.token).scopes).toEqual([reading])
    await expect(clientOf('reports', { file }, [reading]).getAccessToken()).rejects.toThrow(
      'Error code invalid_request: the subject token is not accepted',
    )
  })

  test('P6: runs a program that signs a fresh assertion for each exchange', async () => {
    vi.stubEnv('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES', '1')
    const program = fileURLToPath(new URL('../support/clients/print-subject-token.ts', import.meta.url))
    const command = [process.execPath, program, signer, world.url, keyPath].join(' ')
    const source = { executable: { command, timeout_millis: 10_000 } }
    const heard = world.proxy.listen()

    for (const _ of [1, 2]) {
      const client = new PluggableAuthClient({
        ...externalAccount(world, 'reports', source),
        scopes: [reading],
      })
      expect(world.carried((await client.getAccessToken()).token).scopes).toEqual([reading])
    }
    expect(new Set(heard().map(({ form }) => form.get('subject_token'))).size).toBe(2)
  })
})

// The library calls these deprecated, since a file of a stranger may send its reader anywhere. People use them.
/* oxlint-disable typescript/no-deprecated */
describe('google-auth-library by its older ways', () => {
  test('GoogleAuth takes the file by its path', async () => {
    const auth = new GoogleAuth({ keyFile: accountFile('reports'), scopes: [reading] })
    expect(world.carried(await auth.getAccessToken()).scopes).toEqual([reading])
  })

  test('GoogleAuth takes what the file says as credentials', async () => {
    const credentials = externalAccount(world, 'reports', { file: tokenFile })
    const auth = new GoogleAuth({ credentials, scopes: [reading, mail].join(' ') })

    expect(world.carried(await auth.getAccessToken()).scopes).toEqual([reading, mail])
  })

  test('ExternalAccountClient takes what the file says, and scopes beside it', async () => {
    const account = externalAccount(world, 'reports', { file: tokenFile })
    const client = ExternalAccountClient.fromJSON({ ...account, scopes: [mail] })
    expect(world.carried((await client?.getAccessToken())?.token).scopes).toEqual([mail])
  })
})
/* oxlint-enable typescript/no-deprecated */

describe('GoogleAuth', () => {
  test('finds the file by GOOGLE_APPLICATION_CREDENTIALS, and asks nobody for a project', async () => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', accountFile('reports'))
    vi.stubEnv('GOOGLE_CLOUD_PROJECT', 'acme')
    const headers = await new GoogleAuth({ scopes: reading }).getRequestHeaders()

    expect(world.carried(headers.get('authorization')?.replace(/^Bearer /, '')).scopes).toEqual([reading])
  })
})

describe('google-auth-library asking for more than the rule allows', () => {
  test('P13: is refused where the rule says refuse, and its user reads our error and description', async () => {
    const broad = clientOf('reports', { file: tokenFile }, [reading, cloudPlatform])

    await expect(broad.getAccessToken()).rejects.toThrow(
      'Error code invalid_scope: the scope is malformed or more than this caller may have',
    )
  })

  test('P13: gets what the rule allows of it where the rule says drop', async () => {
    const broad = clientOf('lenient', { file: tokenFile }, [cloudPlatform, reading])

    // Reading by its name, writing because cloud-platform implies it; cloud-platform itself is not in the rule.
    expect(world.carried((await broad.getAccessToken()).token).scopes.toSorted()).toEqual([writing, reading])
  })

  test('P13: without scopes of its own asks for cloud-platform alone, and gets what of that the rule allows', async () => {
    const heard = world.proxy.listen()
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', accountFile('lenient'))
    vi.stubEnv('GOOGLE_CLOUD_PROJECT', 'acme')

    expect(world.carried(await new GoogleAuth().getAccessToken()).scopes).toEqual([writing])
    expect(heard().map(({ form }) => form.get('scope'))).toEqual([cloudPlatform])
  })

  test('P13: gets all that the rule allows when it is told to ask for no scope', async () => {
    const client = clientOf('lenient', { file: tokenFile }, [])

    expect(world.carried((await client.getAccessToken()).token).scopes.toSorted()).toEqual([writing, reading])
  })
})

describe('google-auth-library when it is refused', () => {
  test('P12: says invalid_target for a credential that is unknown, and does not try again', async () => {
    const heard = world.proxy.listen()

    await expect(clientOf('nothing', { file: tokenFile }, [reading]).getAccessToken()).rejects.toThrow(
      'Error code invalid_target: the audience is not available to this caller',
    )
    expect(heard()).toHaveLength(1)
  })

  test('P1: says that a forged subject token is not accepted, and does not try again', async () => {
    const forged = `${(await world.subjectToken()).trim().slice(0, -8)}AAAAAAAA`
    const client = clientOf('reports', { file: world.write('forged.jwt', forged) }, [reading])
    const heard = world.proxy.listen()

    await expect(client.getAccessToken()).rejects.toThrow(
      'Error code invalid_request: the subject token is not accepted',
    )
    expect(heard()).toHaveLength(1)
  })

  test('P20: tries again by itself while Google is down, and then says temporarily_unavailable', async () => {
    await world.google.goDown()
    const heard = world.proxy.listen()
    try {
      await expect(clientOf('lenient', { file: tokenFile }, [reading]).getAccessToken()).rejects.toThrow(
        'Error code temporarily_unavailable: the token service cannot serve this now, try again later',
      )
    } finally {
      await world.google.comeBack()
    }
    expect(heard()).toHaveLength(4)
  }, 30_000)
})

function clientOf(
  credential: string,
  source: CredentialSource,
  scopes: readonly string[],
): IdentityPoolClient {
  return new IdentityPoolClient({ ...externalAccount(world, credential, source), scopes: [...scopes] })
}

function accountFile(credential: string): string {
  const account = externalAccount(world, credential, { file: tokenFile })
  return world.write(`${credential}.json`, JSON.stringify(account))
}
