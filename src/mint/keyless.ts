import type { Grant } from '../domain/grant.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Credentials } from '../records/credentials.ts'
import { createActingToken, type ActingTokenDeps } from './acting-token.ts'
import type { AskUpstream } from './ask-upstream.ts'
import { createMintFromBrokerIdentity } from './broker-identity.ts'
import { createExchangeAssertion } from './exchange-assertion.ts'
import { createIamCredentials } from './iam-credentials.ts'
import { createMintByImpersonation } from './impersonation.ts'
import { createNoteHealth, type NoteHealthDeps } from './note-health.ts'
import { createMintForUser } from './signed-by-google.ts'

export interface KeylessDeps extends NoteHealthDeps, ActingTokenDeps {
  readonly ask: AskUpstream
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
  readonly iamCredentialsUrl: string
  readonly tokenUrl: string
}

export interface Keyless {
  readonly byImpersonation: (grant: Grant, deadlineMs: number) => Promise<MintedToken>
  readonly fromBrokerIdentity: (grant: Grant, deadlineMs: number) => Promise<MintedToken>
}

/** Minting for which no key is stored: whoever acts shows a token, and Google does the rest. */
export function createKeyless(deps: KeylessDeps): Keyless {
  const noteHealth = createNoteHealth(deps)
  const actingToken = createActingToken(deps)
  const askIamCredentials = createIamCredentials({ ...deps, noteHealth, actingToken })
  const exchangeAssertion = createExchangeAssertion({ ...deps, noteHealth })
  const mintForUser = createMintForUser({ ...deps, askIamCredentials, exchangeAssertion })
  return {
    byImpersonation: createMintByImpersonation({ ...deps, noteHealth, askIamCredentials, mintForUser }),
    fromBrokerIdentity: createMintFromBrokerIdentity({ ...deps, noteHealth, mintForUser }),
  }
}
