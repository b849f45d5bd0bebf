import { createKmsRingKeys } from '../adapters/key-ring/gcp-kms/kms-ring-keys.ts'
import { createKeyRing } from '../adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../adapters/key-ring/local.ts'
import type { RingKeys } from '../adapters/key-ring/ring-keys.ts'
import type { KeyRingPart, Settings } from '../config.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { createGoogleIdentity, type GooglePlatform } from './google-identity.ts'

const kmsScopes = ['https://www.googleapis.com/auth/cloudkms'] as const

/** The key ring that the settings name, on either runtime. Throws `not_supported` without an identity for Cloud KMS. */
export function openKeyRing(settings: Settings, platform: GooglePlatform): KeyRing {
  const [first, ...others] = settings.keyRing.map((part) => openPart(part, settings, platform))
  if (first === undefined) throw new TypeError('the settings name no key ring')
  return createKeyRing([first, ...others])
}

function openPart(part: KeyRingPart, settings: Settings, platform: GooglePlatform): RingKeys {
  switch (part.kind) {
    case 'local':
      return createLocalRingKeys(part.keys)
    case 'gcp-kms':
      return createKmsRingKeys({
        ...platform,
        cryptoKey: part.cryptoKey,
        kmsUrl: settings.google.kmsUrl,
        accessToken: createGoogleIdentity(platform, kmsScopes),
      })
  }
}
