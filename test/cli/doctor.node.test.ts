import { createServer } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { examineSettings } from '../../src/cli/examine-settings.ts'
import { settingsTable } from '../../src/config/settings-table.ts'
import { listenOnLoopback } from '../support/listen.ts'
import { runCli } from '../support/run-cli.ts'

const canary = 'canary-of-a-secret'
const names = Object.values(settingsTable).map(({ name }) => name)

describe('T33: doctor shows no secret and no query of a URL', () => {
  let url = ''
  beforeAll(async () => {
    const server = createServer((_, response) => response.writeHead(400).end(canary))
    url = `http://127.0.0.1:${await listenOnLoopback(server)}`
    return () => void server.close()
  })

  /** Settings as they should be, with a secret wherever one may stand. */
  const settings = (policy: object = {}) => ({
    DOWNSCOPE_ISSUER: 'http://127.0.0.1:8080',
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${Buffer.from(canary.padEnd(32, '.')).toString('base64')}`,
    GOOGLE_OAUTH_TOKEN_URL: `${url}/token`,
    GOOGLE_STS_TOKEN_URL: 'http://127.0.0.1:1/sts',
    DOWNSCOPE_SIGN_IN_ISSUER: url,
    DOWNSCOPE_SIGN_IN_CLIENT_ID: 'console',
    DOWNSCOPE_SIGN_IN_CLIENT_SECRET: canary,
    DOWNSCOPE_WEBHOOK_URL: `https://hooks.acme.example/${canary}?key=${canary}`,
    DOWNSCOPE_WEBHOOK_SECRET: `whsec_${Buffer.from(canary.padEnd(32, '.')).toString('base64')}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${canary}`,
    DOWNSCOPE_POLICY_YAML: JSON.stringify({
      version: 1,
      issuers: [{ name: 'people', issuer: url, keys: { discovery: true } }],
      upstreams: [
        { name: 'up', token_endpoint: `${url}/token?key=${canary}`, client_auth: 'client_secret_basic' },
        {
          name: 'down',
          token_endpoint: `http://127.0.0.1:1/token?key=${canary}`,
          client_auth: 'client_secret_basic',
        },
      ],
      rules: [],
      admins: [{ role: 'admin', callers: [{ issuer: 'people', subject: 'ann' }] }],
      ...policy,
    }),
  })
  const doctor = async (env: Readonly<Record<string, string>>) => {
    const [table, json] = await Promise.all(
      [[], ['--json']].map((more) => runCli(['doctor', '--local', ...more], { env })),
    )
    return [table, json].map((outcome) => `${outcome?.stdout}${outcome?.stderr}`)
  }

  test('where they are right', async () => {
    const shown = await doctor(settings())

    for (const text of shown) {
      expect(text).toContain('for http://127.0.0.1:8080')
      expect(text).toContain('as that of the upstream')
      expect(text).toContain(`its token endpoint answers at ${new URL(url).host}`)
      expect(text).toContain('its token endpoint: GET http://127.0.0.1:1/token: ECONNREFUSED')
    }
    expect(secretsIn(shown)).toEqual([])
  })

  test('where a client secret stands in the policy, where none belongs', async () => {
    const shown = await doctor(
      settings({ upstreams: [{ name: 'up', token_endpoint: `${url}/token`, client_secret: canary }] }),
    )

    for (const text of shown) expect(text).toContain('upstreams[0].client_secret')
    expect(secretsIn(shown)).toEqual([])
  })

  const wrong: Readonly<Record<string, string>> = {
    'a URL with a password and a query': `https://ann:${canary}@tokens.acme.example/?key=${canary}`,
    'a token': `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(canary).toString('base64url')}.${canary}`,
    'a document that is cut off': `{"client_secret":"${canary}"`,
  }
  test.each(Object.entries(wrong))('where every setting is %s', async (_, value) => {
    const shown = await doctor(Object.fromEntries(names.map((name) => [name, value])))

    for (const text of shown)
      for (const name of [
        'DOWNSCOPE_ISSUER',
        'DOWNSCOPE_KEYS',
        'DOWNSCOPE_STORE',
        'DOWNSCOPE_SIGN_IN_ISSUER',
      ])
        expect(text).toContain(name)
    expect(secretsIn(shown)).toEqual([])
  })
})

test('doctor says how long the store took to answer', async () => {
  const startedMs = performance.now()
  const findings = await examineSettings(
    {
      DOWNSCOPE_ISSUER: 'http://127.0.0.1:8080',
      DOWNSCOPE_STORE: 'memory:',
      DOWNSCOPE_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
      GOOGLE_OAUTH_TOKEN_URL: 'http://127.0.0.1:1/token',
      GOOGLE_STS_TOKEN_URL: 'http://127.0.0.1:1/sts',
    },
    () => true,
  )
  const tookMs = performance.now() - startedMs
  const [, answeredMs] =
    /memory answers in (\d+) ms/.exec(findings.find(({ what }) => what === 'store')?.says ?? '') ?? []

  expect(Number(answeredMs)).toBeLessThanOrEqual(Math.ceil(tookMs))
  expect(findings).toContainEqual({ what: 'credentials', verdict: 'good', says: 'none are enrolled yet' })
})

/** The canary as it is and in base64, whose first octets stay the same whatever follows. */
function secretsIn(texts: readonly string[]): readonly string[] {
  const forms = [canary, Buffer.from(canary).toString('base64').slice(0, 20)]
  return texts.flatMap((text) => forms.filter((form) => text.includes(form)))
}
