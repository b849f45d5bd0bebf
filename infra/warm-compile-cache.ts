import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { doorSource } from './built-door.ts'

const issuer = 'https://warm-up.invalid'
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
  try {
    writeFileSync(door, doorSource({ keepsCode: true }))
    await askForToken(door, `sqlite:${join(home, 'store.db')}`)
    // Nobody listens there: the drivers are read and tried, and the broker says that it is not ready.
    for (const driver of ['firestore', 'firestore+rest']) await askForToken(door, `${driver}://warm-up`)
  } finally {
    rmSync(door, { force: true })
    rmSync(home, { recursive: true, force: true })
  }
  const { size } = statSync(join(folder, 'broker.cjs.code'))
  if (size < 100_000) throw new Error(`only ${size} bytes of compiled code`)
  return size
}

/** A start, a probe, and a request that comes as far as the credential that is not there. */
async function askForToken(door: string, store: string): Promise<void> {
  const port = await freePort()
  const caller = createCaller()
  const child = spawn(process.execPath, [door], {
    env: { ...settings(caller.policy), DOWNSCOPE_STORE: store, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  try {
    const url = `http://127.0.0.1:${port}`
    await answerOf(child, `${url}/healthz`)
    const response = await fetch(`${url}/v1/token`, { method: 'POST', body: caller.tokenRequest() })
    if (response.status === 401) throw new Error(`the warm-up's JWT is refused: ${await response.text()}`)
    await response.body?.cancel()
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

function settings(policy: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_KEYS: `warm-up:${randomBytes(32).toString('base64')}`,
    DOWNSCOPE_POLICY_YAML: policy,
    FIRESTORE_EMULATOR_HOST: '127.0.0.1:1',
    METADATA_SERVER_DETECTION: 'none',
  }
}

function createCaller(): { readonly policy: string; readonly tokenRequest: () => URLSearchParams } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' })
  return {
    policy: `
version: 1
issuers:
  - { name: caller, issuer: caller, self_issued: true, algorithms: [ES256], keys: { jwks: { keys: [${jwk}] } } }
rules:
  - { name: a rule, callers: [{ issuer: caller, subject: caller }], credential: nothing, scopes: ['https://a.invalid/b'] }
admins:
  - { callers: [{ issuer: caller, subject: caller }], role: admin }
`,
    tokenRequest: () => {
      const iat = Math.floor(Date.now() / 1000)
      const claims = { iss: 'caller', sub: 'caller', aud: issuer, jti: 'one', iat, exp: iat + 60 }
      const input = [{ alg: 'ES256', kid: 'one' }, claims].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      )
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
      const signature = sign('sha256', Buffer.from(input.join('.')), key).toString('base64url')
      return new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: [...input, signature].join('.'),
        audience: 'nothing',
      })
    },
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
