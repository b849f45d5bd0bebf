import { randomBytes } from 'node:crypto'
import { Session } from 'node:inspector/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBroker } from '../src/compose.ts'
import { createNodePlatform } from '../src/compose/node-platform.ts'
import { readSettings } from '../src/config.ts'
import { startGoogleStandIn } from '../test/support/google/stand-in.ts'
import { createSampleCallers } from './quickstart/sample-callers.ts'
import { calendarReadOnly, samplePolicy } from './quickstart/sample-policy.ts'

// Prints how many files and calls of `src` one request crosses, by V8's precise coverage: a cached token request, a
// token request that must refresh a refresh token, and an enrolment. So that a change shows what it adds to the path
// that a reader has to follow. Without arguments it only prints; with `--max CACHED MISS` it fails above those counts.

interface Crossing {
  readonly files: number
  readonly calls: number
}

const sources = new URL('../src/', import.meta.url).href
const issuer = 'http://127.0.0.1:8080'

const crossings = await measure()
const rows = Object.entries(crossings).map(
  ([name, { files, calls }]) =>
    `  ${name.padEnd(32)} ${String(files).padStart(3)} files ${String(calls).padStart(5)} calls`,
)
process.stdout.write(`what one request crosses in src\n${rows.join('\n')}\n`)
const [cachedMax, missMax] = process.argv[2] === '--max' ? process.argv.slice(3).map(Number) : []
failAbove('a cached token request', cachedMax)
failAbove('a miss on a refresh token', missMax)

function failAbove(name: keyof typeof crossings, max: number | undefined): void {
  const { files } = crossings[name]
  // A measurement that saw next to nothing is a fault of its own.
  if (files < 10) throw new Error(`${name}: only ${files} files were seen`)
  if (max === undefined || files <= max) return
  process.stderr.write(`${name} crosses ${files} files, and ${max} are allowed\n`)
  process.exitCode = 1
}

async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-crossings-'))
  const google = await startGoogleStandIn()
  const callers = await createSampleCallers()
  const policyFile = join(folder, 'policy.yaml')
  writeFileSync(policyFile, samplePolicy(callers))
  const settings = readSettings({
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `sample:${randomBytes(32).toString('base64')}`,
    DOWNSCOPE_POLICY: policyFile,
    ...google.endpoints,
  })
  const platform = createNodePlatform({ ...settings })
  const broker = createBroker(settings, {
    ...platform,
    log: () => undefined,
    auditTrail: () => Promise.resolve(),
  })
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

  const crossing = async (request: Request, status: number): Promise<Crossing> => {
    await session.post('Profiler.takePreciseCoverage')
    const response = await broker.serve(request)
    const text = await response.text()
    const { result } = await session.post('Profiler.takePreciseCoverage')
    if (response.status !== status) throw new Error(`${request.url}: ${response.status} ${text}`)
    const counts = result
      .filter(({ url }) => url.startsWith(sources))
      .map(({ functions }) => functions.reduce((sum, { ranges: [range] }) => sum + (range?.count ?? 0), 0))
      .filter((count) => count > 0)
    return { files: counts.length, calls: counts.reduce((sum, count) => sum + count, 0) }
  }
  const admin = async (path: string, body: object): Promise<Request> =>
    new Request(`${issuer}/v1/admin/${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await callers.admin.sign(issuer, 60)}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    })
  const token = async (audience: string): Promise<Request> =>
    new Request(`${issuer}/v1/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await callers.billing.sign(issuer, 60),
        audience,
      }),
    })

  try {
    await broker.readiness()
    const enrolment = await crossing(
      await admin('credentials', {
        name: 'team-calendar',
        secret: google.createRefreshToken({ user: 'team@acme.example', scopes: [calendarReadOnly] }),
        scopes: [calendarReadOnly],
      }),
      201,
    )
    const miss = await crossing(await token('team-calendar'), 200)
    const cached = await crossing(await token('team-calendar'), 200)
    return { 'a cached token request': cached, 'a miss on a refresh token': miss, 'an enrolment': enrolment }
  } finally {
    session.disconnect()
    await google.close()
    await platform.close()
    rmSync(folder, { recursive: true })
  }
}
