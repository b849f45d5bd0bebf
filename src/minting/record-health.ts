import type { CredentialHealth } from '../domain/credential.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { GrantedCredential } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Credentials } from '../records/credentials.ts'

/** Another instance may have noted something else meanwhile; noting again costs one read. */
const repeatAfterMs = 10 * 60_000
const credentialsMax = 1000

export interface RecordHealthDeps {
  readonly credentials: Pick<Credentials, 'noteHealth'>
  readonly background: Background
  readonly clock: Clock
  readonly log: Log
}

export type RecordHealth = (
  credential: GrantedCredential,
  health: Omit<CredentialHealth, 'since'>,
) => Promise<void>

/**
 * Records the health of a credential, at most every ten minutes while it does not change. Never rejects. The answer waits
 * for it only where the platform runs nothing after an answer.
 */
export function createRecordHealth({ credentials, background, clock, log }: RecordHealthDeps): RecordHealth {
  const noted = createRecentlyUsed<{ readonly text: string; readonly atMs: number }>({
    sizeMax: credentialsMax,
  })

  return async ({ name, version }, health) => {
    const place = JSON.stringify([name, version])
    const text = JSON.stringify([health.status, health.reason])
    const last = noted.get(place)
    if (last?.text === text && clock.steadyMs() - last.atMs < repeatAfterMs) return
    noted.set(place, { text, atMs: clock.steadyMs() })
    const work = async () => {
      try {
        await credentials.noteHealth(name, health)
      } catch (error) {
        noted.delete(place)
        const reason = isBrokerError(error) ? error.reason : error
        log('warn', 'the health of a credential was not noted', { credential: name, reason })
      }
    }
    if (background.runsAfterAnswer) background.run(work)
    else await work()
  }
}
