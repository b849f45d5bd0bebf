import { generateKeyPair, type KeyObject } from 'node:crypto'

export type RsaKeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }

/** Gives the next RSA key pair; never the same one twice from one source. */
export type KeySource = () => Promise<RsaKeyPair>

// Mutable at module level: an RSA key costs 100 ms, so all stand-ins of one
// process share the same keys in the same order. Within one stand-in every key is its own.
const pool: Promise<RsaKeyPair>[] = []

/** A source of RSA 2048 keys, made when first asked for and kept for the life of the process. */
export function createKeySource(): KeySource {
  let next = 0
  return () => {
    const index = next
    next += 1
    const pair = pool[index] ?? generate()
    pool[index] = pair
    return pair
  }
}

function generate(): Promise<RsaKeyPair> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: 2048 }, (fault, publicKey, privateKey) => {
      if (fault) reject(fault)
      else resolve({ publicKey, privateKey })
    })
  })
}
