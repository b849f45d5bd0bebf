import type { Connection, ConnectionState } from '../domain/connection.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { createAnswerConsent, type AnsweredConsent, type ConsentAnswer } from './answer.ts'
import type { ConnectDeps, Starter } from './connect-deps.ts'
import { createConsentPages, type ConsentPages } from './consent.ts'
import { createEndConnections, type EndConnections } from './end.ts'
import { createFinalize, requireConnection, stateOf, type Finalization } from './finalize.ts'
import { createStart, type ConnectionRequest, type StartedConnection } from './start.ts'

export interface ConnectionStatus {
  readonly connection: Connection
  readonly state: ConnectionState
}

/** A refresh token by consent: whoever asks starts and finishes it, and somebody else may consent in between. */
export interface Connect extends ConsentPages, EndConnections {
  readonly start: (request: ConnectionRequest, by: Starter) => Promise<StartedConnection>
  readonly read: (id: string) => Promise<ConnectionStatus>
  readonly finalize: (finalization: Finalization, by: Starter) => Promise<CredentialSummary>
  readonly answer: (answer: ConsentAnswer) => Promise<AnsweredConsent>
}

export function createConnect(deps: ConnectDeps): Connect {
  return {
    start: createStart(deps),
    read: async (id) => {
      const connection = await requireConnection(deps, id)
      return { connection, state: stateOf(connection, deps.clock.now()) }
    },
    finalize: createFinalize(deps),
    answer: createAnswerConsent(deps),
    ...createConsentPages(deps),
    ...createEndConnections(deps),
  }
}
