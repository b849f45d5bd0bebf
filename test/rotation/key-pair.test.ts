import { CompactSign, compactVerify, importPKCS8, importX509 } from 'jose'
import { expect, test } from 'vitest'
import { createKeyPairs } from '../../src/rotation/key-pair.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createSequence } from '../support/sequence.ts'

test('a key pair made on this runtime signs what its own certificate verifies', async () => {
  const create = createKeyPairs({ clock: createFakeClock(), entropy: createSequence() })
  const { privateKey, certificate } = await create('reports-sa')
  const key = await importPKCS8(privateKey.reveal(), 'RS256')
  const pem = `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----`
  const signed = await new CompactSign(new TextEncoder().encode('proof'))
    .setProtectedHeader({ alg: 'RS256' })
    .sign(key)

  await expect(compactVerify(signed, await importX509(pem, 'RS256'))).resolves.toBeDefined()
})
