import { BrokerError } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { KeyRing } from '../../src/ports/key-ring.ts'

/** A key ring that hides nothing, but refuses what the real one refuses: a text at another place, and no key at all. */
export function createPlainKeyRing(): KeyRing & { down: boolean } {
  const ring = {
    down: false,
    seal: async (plaintext: Secret, place: string) => {
      await ring.ping()
      return JSON.stringify([place, plaintext.reveal()])
    },
    open: async (sealed: string, place: string) => {
      await ring.ping()
      const prefix = `[${JSON.stringify(place)},`
      if (!sealed.startsWith(prefix)) throw refusal(`${place} does not open`)
      const text: unknown = JSON.parse(sealed.slice(prefix.length, -1))
      if (typeof text !== 'string') throw refusal(`${place} does not open`)
      return new Secret(text)
    },
    keyIdOf: () => 'plain',
    renew: async () => {
      await ring.ping()
      return 'plain'
    },
    ping: async () => {
      await Promise.resolve()
      if (ring.down) throw refusal('the key ring is down')
    },
  }
  return ring
}

function refusal(reason: string): BrokerError {
  return new BrokerError('key_ring_unavailable', { reason })
}
