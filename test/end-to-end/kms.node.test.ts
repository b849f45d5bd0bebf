import { join } from 'node:path'
import { expect, test } from 'vitest'
import { askToken } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')
const keyName = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'

test(
  'P20: with Cloud KMS hanging an instance serves what it has, a new one says 503, and it recovers by itself',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    const { google, workload } = world
    const own = await google.createServiceAccount({ email: 'downscope@acme.iam.gserviceaccount.com' })
    google.createCryptoKey(keyName)
    google.allowCryptoKey(own.client_email, keyName)
    const settings = world.settings([world.rule('account', [mail, drive])], {
      DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
      DOWNSCOPE_KEYS: '',
      DOWNSCOPE_KEY_RING: `gcp-kms://${keyName}`,
      DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(own),
    })
    const first = await world.yard.start(settings)
    await world.enrolAccount(first, 'account')
    expect((await askToken(first, workload, { audience: 'account', scope: mail })).status).toBe(200)

    // The key gets a new version at Google; whatever was sealed before opens.
    google.rotateCryptoKey(keyName)
    google.script.kms.always({ do: 'hang' })
    for (const scope of [mail, drive])
      expect(await askToken(first, workload, { audience: 'account', scope })).toMatchObject({ status: 200 })
    await first.stop()

    const second = await world.yard.launch(settings)
    await until(
      'the second serves',
      async () => (await fetch(`${second.url}/healthz`).catch(() => undefined))?.ok,
    )
    const refused = await askToken(second, workload, { audience: 'account', scope: mail })
    expect(refused).toMatchObject({ status: 503 })
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(refused.tookMs).toBeLessThan(10_000)
    expect(await second.auditOf(refused.requestId)).toMatchObject({ error: 'key_ring_unavailable' })

    google.clearScripts()
    await until('the second gives a token', async () => {
      const { status } = await askToken(second, workload, { audience: 'account', scope: mail })
      return status === 200
    })
  },
)
