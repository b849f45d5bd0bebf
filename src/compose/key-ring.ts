import { createLocalKeyRing } from '../adapters/key-ring/local.ts'
import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { KeyRing } from '../ports/key-ring.ts'

/** The key ring that the settings name, on either runtime. Throws `not_supported` for one that is not there yet. */
export function openKeyRing({ keyRing }: Settings): KeyRing {
  switch (keyRing.kind) {
    case 'local':
      return createLocalKeyRing(keyRing.keys)
    case 'gcp-kms':
      throw new BrokerError('not_supported', {
        reason: 'DOWNSCOPE_KEY_RING=gcp-kms://… is not available in this version',
      })
  }
}
