import { expect, test } from 'vitest'
import { createBrokerYard } from '../support/spawn-broker.ts'
import { post } from '../support/test-broker/ask.ts'
import { callerOf } from '../support/test-broker/callers.ts'
import { createTestWorld } from '../support/test-broker/test-world.ts'
import { createSigner } from '../support/signer.ts'

test(
  'a broker under test that would leave this machine is refused and told',
  { timeout: 180_000 },
  async (t) => {
    const world = await createTestWorld()
    t.onTestFinished(() => world.close())
    const yard = createBrokerYard()
    const elsewhere = 'https://issuer.acme.example'
    const policy = {
      version: 1,
      issuers: [{ name: 'elsewhere', issuer: elsewhere, keys: { jwks_uri: `${elsewhere}/jwks` } }],
      rules: [],
      admins: [],
    }
    const settings = world.settings([], { DOWNSCOPE_POLICY_YAML: JSON.stringify(policy) })
    const broker = await yard.start(settings)
    const stranger = callerOf(await createSigner('ES256', 'k'), elsewhere)
    const answer = await post(broker, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await stranger.jwt(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'sa',
    })

    // No key of that issuer was ever read.
    expect(answer.status).toBe(503)
    await expect(yard.close()).rejects.toThrow(
      /leave this machine: .*(?:connect to|look-up of) issuer\.acme\.example/,
    )
  },
)

test('settings that name another host are refused before anything starts', async () => {
  const yard = createBrokerYard()
  const away = { GOOGLE_OAUTH_TOKEN_URL: 'https://oauth2.googleapis.com/token' }

  await expect(yard.launch(away)).rejects.toThrow('GOOGLE_OAUTH_TOKEN_URL is not loopback')
  await expect(yard.launch({ FIRESTORE_EMULATOR_HOST: '192.0.2.1:80' })).rejects.toThrow('not loopback')
})
