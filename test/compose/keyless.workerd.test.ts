import { env } from 'cloudflare:workers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createWorkerBroker } from '../../src/compose/worker-broker.ts'
import { createPrivateJwk, poolProvider } from '../support/signing-key-set.ts'

const issuer = 'https://tokens.acme.example'
const jwk = await createPrivateJwk('k1')

/** A Worker with Firestore; a key set may be a table of wrangler.toml as well as a secret's text. */
const bindings = (more: Readonly<Record<string, unknown>> = {}) => ({
  DOCUMENTS: env.DOCUMENTS,
  DOWNSCOPE_ISSUER: issuer,
  DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
  DOWNSCOPE_POLICY_YAML: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
  DOWNSCOPE_STORE: 'firestore://acme/downscope',
  ...more,
})
const federated = {
  DOWNSCOPE_SIGNING_KEYS: { keys: [jwk] },
  DOWNSCOPE_GOOGLE_FEDERATION: poolProvider,
}

describe('a Worker without a Google key', () => {
  test('publishes its keys and where they are, before anything else works', async () => {
    silence()
    const { serve } = createWorkerBroker(bindings(federated))

    const configuration = await serve(new Request(`${issuer}/.well-known/openid-configuration`))
    const keySet = await serve(new Request(`${issuer}/.well-known/jwks.json`))

    expect(await configuration.json()).toMatchObject({ issuer, jwks_uri: `${issuer}/.well-known/jwks.json` })
    const text = await keySet.text()
    expect(JSON.parse(text)).toMatchObject({ keys: [{ kid: 'k1', x: jwk['x'] }] })
    expect(text).not.toContain(jwk['d'])
  })

  test('is out of service with Firestore and no identity at all', async () => {
    const lines = silence()

    expect((await createWorkerBroker(bindings()).serve(new Request(`${issuer}/healthz`))).status).toBe(503)
    expect(lines.join()).toContain('DOWNSCOPE_GOOGLE_FEDERATION is required')
  })
})

function silence(): readonly string[] {
  const lines: string[] = []
  const spy = vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)))
  onTestFinished(() => spy.mockRestore())
  return lines
}
