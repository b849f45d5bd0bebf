import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JWK } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { startBroker, type BrokerProcess } from '../../src/cli/dev/broker-process.ts'
import { makeFirstFiles } from '../../src/cli/dev/first-files.ts'
import { signedWithOwnKey } from '../../src/client/broker-connection.ts'
import { freePort } from '../support/free-port.ts'
import { startGoogleStandIn, type GoogleStandIn } from '../support/google/stand-in.ts'
import { jsonMembers } from '../support/json-members.ts'
import { repository } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'

/** docs/upgrade.md: what an old broker and a new one may do beside each other on one store, while a version is rolled out. */
const former = 'b68e3d6'
const hasHistory =
  spawnSync('git', ['cat-file', '-e', `${former}:src/cloud-run.ts`], { cwd: repository }).status === 0

describe.skipIf(!hasHistory)(`this version beside ${former}, on one store`, () => {
  let folder = ''
  let google: GoogleStandIn
  let older: BrokerProcess
  let newer: BrokerProcess
  const issuer = 'http://127.0.0.1:8080'

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'downscope-versions-'))
    const source = join(folder, 'former')
    mkdirSync(source)
    const archive = spawnSync('git', ['archive', former, 'src', 'package.json'], {
      cwd: repository,
      maxBuffer: 1e8,
    })
    spawnSync('tar', ['x'], { cwd: source, input: archive.stdout })
    symlinkSync(join(repository, 'node_modules'), join(source, 'node_modules'))
    google = await startGoogleStandIn()
    const { policyFile, sealingKeys } = makeFirstFiles(folder)
    const env = {
      DOWNSCOPE_ISSUER: issuer,
      DOWNSCOPE_STORE: `sqlite:${join(folder, 'store.db')}`,
      DOWNSCOPE_KEYS: sealingKeys,
      DOWNSCOPE_POLICY: policyFile,
      ...google.endpoints,
    }
    const start = async (name: string, root: string) =>
      startBroker({
        port: await freePort(),
        env,
        logFile: join(folder, `${name}.log`),
        module: pathToFileURL(join(root, 'src/cloud-run.ts')).href,
      })
    older = await start('older', source)
    newer = await start('newer', repository)
    writeFileSync(
      policyFile,
      `${readFileSync(policyFile, 'utf8')}  - name: my service reads other
    callers: [{ issuer: my-service, subject: my-service }]
    credential: other
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
`,
    )
    return async () => {
      await older.stop()
      await newer.stop()
      await google.close()
      rmSync(folder, { recursive: true })
    }
  }, 150_000)

  const proof = (file: string) =>
    signedWithOwnKey({ key: JSON.parse(readFileSync(join(folder, file), 'utf8')) as JWK })(issuer)
  const ask = async (broker: BrokerProcess, credential: string) => {
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: await proof('my-service.jwk.json'),
      audience: credential,
    })
    const answer = await fetch(`${broker.url}/v1/token`, { method: 'POST', body })
    return { status: answer.status, ...jsonMembers(await answer.text()) } as {
      status: number
      access_token?: string
    }
  }
  const administer = async (broker: BrokerProcess, method: string, path: string, body?: object) => {
    const answer = await fetch(`${broker.url}/v1/admin/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await proof('admin.jwk.json')}`,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, text: await answer.text() }
  }
  const enrol = async (broker: BrokerProcess, name: string) =>
    administer(broker, 'POST', 'credentials', {
      name,
      secret: await google.createServiceAccount({ email: `${name}@acme.iam.gserviceaccount.com` }),
    })
  const statusOf = async (broker: BrokerProcess, name: string) => (await ask(broker, name)).status

  test('what either enrols, both serve', async () => {
    expect((await enrol(older, 'reports-sa')).status).toBe(201)
    expect((await enrol(newer, 'other')).status).toBe(201)
    for (const broker of [older, newer])
      for (const name of ['reports-sa', 'other'])
        await until(`${name} is served`, async () => (await statusOf(broker, name)) === 200)
  })

  test('what either disables, neither serves, and the kill switch of either stops both', async () => {
    for (const [one, another] of [
      [older, newer],
      [newer, older],
    ] as const) {
      expect((await administer(one, 'POST', 'credentials/other:disable')).status).toBeLessThan(300)
      await until('the other has seen it', async () => (await statusOf(another, 'other')) === 400)
      expect((await administer(another, 'POST', 'credentials/other:enable')).status).toBeLessThan(300)
      await until('it is served again', async () => (await statusOf(one, 'other')) === 200)

      expect((await administer(one, 'POST', 'service:stop')).status).toBeLessThan(300)
      await until('the other stops', async () => (await statusOf(another, 'reports-sa')) === 503)
      expect((await administer(another, 'POST', 'service:resume')).status).toBeLessThan(300)
      for (const broker of [one, another])
        await until('both serve again', async () => (await statusOf(broker, 'reports-sa')) === 200)
    }
  })

  test('a rotation that the old one began, the new one goes on with, and both give tokens meanwhile', async () => {
    google.allowKeyAdministration(
      'reports-sa@acme.iam.gserviceaccount.com',
      'reports-sa@acme.iam.gserviceaccount.com',
    )
    expect((await administer(older, 'POST', 'credentials/reports-sa:rotate')).status).toBeLessThan(300)
    await until('the new key is in use', async () => {
      await administer(newer, 'POST', 'maintenance:run')
      expect([await statusOf(older, 'reports-sa'), await statusOf(newer, 'reports-sa')]).toEqual([200, 200])
      const { text } = await administer(newer, 'GET', 'credentials/reports-sa')
      return text.includes('"overlap"') || text.includes('"retiring"')
    })
  })

  test('a credential that only the new one knows is refused by the old one, and spoils nothing else', async () => {
    const secret = { type: 'oauth_client', client_id: 'a', client_secret: 'b' }
    const made = await administer(newer, 'POST', 'credentials', {
      name: 'consent',
      upstream: 'dropbox',
      secret,
    })
    const listed = await administer(older, 'GET', 'credentials')

    expect(made.status).toBe(201)
    expect(listed).toMatchObject({ status: 200 })
    expect(listed.text).not.toContain('"consent"')
    expect((await administer(older, 'GET', 'credentials/consent')).status).toBe(503)
    expect(await statusOf(older, 'reports-sa')).toBe(200)
  })

  test('a policy that only the new one understands leaves the old one at the last good one', async () => {
    const file = join(folder, 'policy.yaml')
    const text = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      text
        .replace('self_issued: true', 'self_issued: true\n    trust_traceparent: true')
        .replaceAll('credential: other', 'credential: third'),
    )
    await until('the new one has it', async () => (await statusOf(newer, 'other')) === 400)
    const log = () => readFileSync(join(folder, 'older.log'), 'utf8')
    await until('the old one refuses it, and serves by the last', async () => {
      expect(await statusOf(older, 'other')).toBe(200)
      return log().includes('policy refused; the last good one stays in force')
    })
    writeFileSync(file, text)
  })
})

test('where the history is missing, that is why nothing was tried beside it', (context) => {
  if (!hasHistory) context.skip(`the history of this clone does not reach back to ${former}`)
  expect(hasHistory).toBe(true)
})
