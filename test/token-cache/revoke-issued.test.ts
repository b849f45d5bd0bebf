import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { inForce } from '../../src/domain/blocks.ts'
import type { CredentialKind } from '../../src/domain/credential.ts'
import type { TokenType } from '../../src/domain/exchange-request.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { recordIssuedTokens, createRevokeIssued } from '../../src/token-cache/issued-tokens.ts'
import { createBlocks } from '../../src/records/blocks.ts'
import { createIssuedTokens } from '../../src/records/tokens.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createLogBook } from '../support/quiet.ts'
import { createGrant } from '../support/resolve-world.ts'
import { createSequence, quickDigest } from '../support/sequence.ts'

const { caller } = createGrant()
const secret = new Secret('what was issued')
const digest = quickDigest(secret.reveal())

interface WorldOptions {
  readonly issued: TokenType
  readonly kind?: CredentialKind
  readonly mayUse?: boolean
}

async function createWorld({ issued, kind = 'service_account_key', mayUse = true }: WorldOptions) {
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  const blocks = createBlocks({ store, clock, entropy: createSequence() })
  const issuedTokens = createIssuedTokens({ store })
  const shared = { issuedTokens, clock, sha256: quickDigest }
  const mint = recordIssuedTokens({
    ...shared,
    log: createLogBook().log,
    mint: async ({ scopes, tokenType }) => ({
      secret,
      tokenType,
      scopes,
      drawnFrom: ['v1'],
      issuedAt: clock.now(),
      expiresAt: later(clock.now(), seconds(3600)),
    }),
  })
  const revoke = createRevokeIssued({
    ...shared,
    blocks,
    findCredential: () => ({ kind }),
    mayUse: async () => {
      if (!mayUse) throw new BrokerError('target_unavailable', { reason: 'no rule' })
    },
  })
  await mint(createGrant({ tokenType: issued }))
  return { revoke, isRevoked: async () => inForce(await blocks.read()).isRevoked(digest) }
}

describe('what a caller gives back', () => {
  it.each(['access_token', 'id_token'] as const)('is taken out of service: %s', async (issued) => {
    const { revoke, isRevoked } = await createWorld({ issued })
    expect(await revoke(caller, secret)).toEqual({ digest, credential: 'reports-sa' })
    expect(await isRevoked()).toBe(true)
  })

  it('is no API key, which would be handed out again: none is called revoked (RFC 7009 §2.2.1)', async () => {
    const { revoke, isRevoked } = await createWorld({ issued: 'api_key' })
    await expect(revoke(caller, secret)).rejects.toMatchObject({ code: 'token_type_unsupported' })
    expect(await isRevoked()).toBe(false)
  })

  it.each(['access_token', 'id_token'] as const)(
    "is no %s of the broker's own identity, of which one caller could deprive all others",
    async (issued) => {
      const { revoke, isRevoked } = await createWorld({ issued, kind: 'broker_identity' })
      await expect(revoke(caller, secret)).rejects.toMatchObject({ code: 'token_type_unsupported' })
      expect(await isRevoked()).toBe(false)
    },
  )

  it('P12: is not told apart for whom no rule gives its credential', async () => {
    const { revoke } = await createWorld({ issued: 'api_key', mayUse: false })
    await expect(revoke(caller, secret)).rejects.toMatchObject({ code: 'target_unavailable' })
  })
})
