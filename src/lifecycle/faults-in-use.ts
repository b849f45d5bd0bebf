import type { CredentialSecret } from '../domain/credential.ts'
import { proveKey, proveRsaKey, type KeyProof } from './prove-key.ts'

/** What would go wrong with a secret once it is used, as far as that can be told without asking an upstream. */
export async function faultsInUse(secret: CredentialSecret): Promise<readonly string[]> {
  switch (secret.kind) {
    case 'service_account_key':
      return keyFaults(await proveRsaKey(secret.privateKey))
    case 'refresh_token':
    case 'client_credentials': {
      // Of the rest only the upstream could say, and asking it may rotate the token.
      const { client } = secret
      return client.proof === 'key' ? keyFaults(await proveKey(client.privateKey, client.algorithm)) : []
    }
    case 'impersonation':
    case 'broker_identity':
    case 'api_key':
      return []
  }
}

function keyFaults(proof: KeyProof): readonly string[] {
  return proof.ok ? [] : [`secret.private_key: ${proof.fault}`]
}
