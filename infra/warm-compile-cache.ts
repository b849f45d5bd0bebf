import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { doorSource } from './built-door.ts'
import { createAccount, startWarmUpWorld } from './warm-up-world.ts'

const issuer = 'https://warm-up.invalid'
const credential = 'warm-up'
const answerMsMax = 30_000

/**
 * Runs the bundle with each store until it has done what a cold start does, and lets it end by itself: each run leaves
 * what V8 has compiled so far in `FOLDER/broker.cjs.code`, and Node what it compiled of the SDK in
 * `FOLDER/compile-cache`. The size of the former in bytes; throws when it is nothing. Both fit this version of Node and
 * these V8 flags, and elsewhere count as none.
 */
export async function warmCompileCache(folder: string): Promise<number> {
  const door = join(folder, 'warm-up.js')
  const home = mkdtempSync(join(tmpdir(), 'downscope-warm-up-'))
  const world = await startWarmUpWorld()
  const visit = { door, caller: createCaller(), keys: `warm-up:${randomBytes(32).toString('base64')}` }
  try {
    writeFileSync(door, doorSource({ keepsCode: true }))
    await askForToken({ ...visit, store: `sqlite:${join(home, 'store.db')}`, host: nobody })
    // The SDK is read and tried, and the broker says that it is not ready.
    await askForToken({ ...visit, store: 'firestore://warm-up', host: nobody })
    const rest = { ...visit, store: 'firestore+rest://warm-up', host: world.host }
    await askForToken({ ...rest, enrols: createAccount() })
    // The token of the run before, as a new instance finds it.
    await askForToken(rest)
  } finally {
    world.close()
    rmSync(door, { force: true })
    rmSync(home, { recursive: true, force: true })
  }
  const { size } = statSync(join(folder, 'broker.cjs.code'))
  if (size < 100_000) throw new Error(`only ${size} bytes of compiled code`)
  return size
}

/** Where nobody listens. */
const nobody = '127.0.0.1:1'

interface Visit {
  readonly door: string
  readonly caller: Caller
  readonly keys: string
  readonly store: string
  /** Of Firestore's emulator and of Google's token endpoint. */
  readonly host: string
  /** Then the request must be good for a token; else it comes as far as the credential that is not there. */
  readonly enrols?: object
}

/** A start, a probe and a request. */
async function askForToken(visit: Visit): Promise<void> {
  const { door, caller, host, enrols } = visit
  const port = await freePort()
  const child = spawn(process.execPath, [door], {
    env: { ...settings(visit), PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  try {
    const url = `http://127.0.0.1:${port}`
    await answerOf(child, `${url}/healthz`)
    if (enrols !== undefined) await enrol(url, caller, enrols)
    const response = await fetch(`${url}/v1/token`, { method: 'POST', body: caller.tokenRequest() })
    const text = await response.text()
    if (response.status === 401 || (host !== nobody && response.status !== 200))
      throw new Error(`the warm-up gets no token: ${response.status} ${text}`)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

async function enrol(url: string, caller: Caller, secret: object): Promise<void> {
  const response = await fetch(`${url}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${caller.assertion()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: credential, secret }),
  })
  if (response.status !== 201)
    throw new Error(`the warm-up cannot enrol: ${response.status} ${await response.text()}`)
}

function settings({ caller, keys, store, host }: Visit): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_STORE: store,
    DOWNSCOPE_KEYS: keys,
    DOWNSCOPE_POLICY_YAML: caller.policy,
    FIRESTORE_EMULATOR_HOST: host,
    GOOGLE_OAUTH_TOKEN_URL: `http://${host}/token`,
    METADATA_SERVER_DETECTION: 'none',
  }
}

interface Caller {
  readonly policy: string
  readonly assertion: () => string
  readonly tokenRequest: () => URLSearchParams
}

function createCaller(): Caller {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' })
  const assertion = (): string => {
    const iat = Math.floor(Date.now() / 1000)
    const claims = { iss: 'caller', sub: 'caller', aud: issuer, jti: randomUUID(), iat, exp: iat + 60 }
    const input = [{ alg: 'ES256', kid: 'one' }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
    const signature = sign('sha256', Buffer.from(input.join('.')), key).toString('base64url')
    return [...input, signature].join('.')
  }
  return {
    policy: `
version: 1
issuers:
  - { name: caller, issuer: caller, self_issued: true, algorithms: [ES256], keys: { jwks: { keys: [${jwk}] } } }
rules:
  - { name: a rule, callers: [{ issuer: caller, subject: caller }], credential: ${credential}, scopes: ['https://a.invalid/b'] }
admins:
  - { callers: [{ issuer: caller, subject: caller }], role: admin }
`,
    assertion,
    tokenRequest: () =>
      new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion(),
        audience: credential,
      }),
  }
}

async function answerOf(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + answerMsMax
  while (child.exitCode === null && performance.now() < deadline) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer !== undefined) {
      await answer.body?.cancel()
      return
    }
    await wait(20)
  }
  throw new Error('the built broker does not start')
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })
}
