import { hash } from 'node:crypto'

/** SHA-256 by Node's own one-shot function: synchronous, and 40 times cheaper there than WebCrypto. */
export function nodeSha256(text: string): string {
  return hash('sha256', text, 'hex')
}
