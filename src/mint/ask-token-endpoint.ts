import { BrokerError } from '../domain/broker-error.ts'
import type { OAuthClient } from '../domain/credential.ts'
import { parseJsonObject } from '../domain/json-object.ts'
import type { Secret } from '../domain/secret.ts'
import type { Repeatable, Upstream } from '../domain/upstream.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { AskUpstream, UpstreamReply } from './ask-upstream.ts'
import { createAuthenticateClient, type AuthenticateClientDeps } from './authenticate-client.ts'
import type { ReachedUpstream } from './reach-upstream.ts'

export interface AskTokenEndpointDeps extends AuthenticateClientDeps {
  readonly ask: AskUpstream
}

export interface TokenQuestion {
  readonly reached: ReachedUpstream
  /** Another endpoint of the upstream than the one for tokens, where clients prove themselves alike. */
  readonly url?: string
  readonly client: OAuthClient
  /** The credential's name. */
  readonly credential: string
  /** Grant type, scope and what else belongs to the grant; client and upstream add theirs. */
  readonly form: Readonly<Record<string, string>>
  readonly repeatable: Repeatable
  readonly deadlineMs: number
}

export interface TokenReply {
  readonly reply: UpstreamReply
  /** What was sent to prove the client: never quoted back. */
  readonly secrets: readonly Secret[]
}

export type AskTokenEndpoint = (question: TokenQuestion) => Promise<TokenReply>

/**
 * Asks an upstream's token endpoint as one of its clients. Throws what `createAuthenticateClient` throws, and
 * `target_unavailable` when the client was enrolled for another place.
 */
export function createAskTokenEndpoint(deps: AskTokenEndpointDeps): AskTokenEndpoint {
  const authenticateClient = createAuthenticateClient(deps)

  return async ({ reached, url = reached.tokenUrl, client, credential, form, repeatable, deadlineMs }) => {
    refuseElsewhere(client, url, { credential, upstream: reached.upstream.name })
    const makeProof = await authenticateClient(client, reached, credential)
    const secrets: Secret[] = []
    const reply = await deps.ask({
      url,
      form: { ...reached.upstream.extraParameters, ...form },
      prove: async () => {
        const proof = await makeProof()
        secrets.push(...proof.secrets)
        return proof
      },
      credential,
      repeatable,
      deadlineMs,
    })
    return { reply, secrets }
  }
}

/** A secret goes where it was enrolled for and nowhere else, whatever the policy has come to say since. */
function refuseElsewhere(
  { origin }: OAuthClient,
  url: string,
  { credential, upstream }: { readonly credential: string; readonly upstream: string },
): void {
  const isRight = upstream === 'google' ? origin === undefined : origin === new URL(url).origin
  if (isRight) return
  throw new BrokerError('target_unavailable', {
    reason: `credential ${credential} was enrolled for ${origin ?? 'Google'}, and upstream ${upstream} is at ${new URL(url).origin} now: if that is right, enrol it again`,
  })
}

/** The answer that grants something: status 200, and no error where the upstream sends errors with that status too. */
export function grantingAnswer(
  reply: UpstreamReply,
  { refusesWithStatus200 }: Upstream,
): (UpstreamReply & { readonly kind: 'answer' }) | undefined {
  if (reply.kind !== 'answer' || reply.answer.status !== 200) return undefined
  return refusesWithStatus200 && holdsError(reply.answer) ? undefined : reply
}

function holdsError({ body }: HttpAnswer): boolean {
  return typeof parseJsonObject(body)?.['error'] === 'string'
}
