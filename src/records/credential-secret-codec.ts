import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSecret } from '../domain/credential.ts'
import { Secret } from '../domain/secret.ts'
import { filledText } from './stored-fields.ts'

/** The text that is sealed for a credential. */
export function secretText(secret: CredentialSecret): Secret {
  switch (secret.kind) {
    case 'service_account_key':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          client_email: secret.clientEmail,
          key_id: secret.keyId,
          private_key: secret.privateKey.reveal(),
        }),
      )
    case 'refresh_token':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          client_id: secret.clientId,
          client_secret: secret.clientSecret.reveal(),
          refresh_token: secret.refreshToken.reveal(),
        }),
      )
    case 'client_credentials':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          client_id: secret.clientId,
          client_secret: secret.clientSecret.reveal(),
        }),
      )
    case 'impersonation':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          service_account: secret.serviceAccount,
          delegates: secret.delegates,
        }),
      )
    case 'broker_identity':
      return new Secret(JSON.stringify({ kind: secret.kind }))
    case 'api_key':
      return new Secret(JSON.stringify({ kind: secret.kind, key: secret.key.reveal() }))
  }
}

/** Reads what `secretText` wrote. Throws `store_unavailable` naming the place, never the text. */
export function secretOf(text: Secret, place: string): CredentialSecret {
  const parsed = secretDocument.safeParse(parseJson(text))
  if (!parsed.success)
    throw new BrokerError('store_unavailable', { reason: `the secret at ${place} is malformed` })
  return parsed.data
}

function parseJson(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}

const secretField = z.pipe(
  filledText,
  z.transform((text) => new Secret(text)),
)

const secretDocument = z.discriminatedUnion('kind', [
  z.pipe(
    z.object({
      kind: z.literal('service_account_key'),
      client_email: z.string(),
      key_id: z.string(),
      private_key: secretField,
    }),
    z.transform(({ kind, client_email: clientEmail, key_id: keyId, private_key: privateKey }) => ({
      kind,
      clientEmail,
      keyId,
      privateKey,
    })),
  ),
  z.pipe(
    z.object({
      kind: z.literal('refresh_token'),
      client_id: z.string(),
      client_secret: secretField,
      refresh_token: secretField,
    }),
    z.transform(
      ({ kind, client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken }) => ({
        kind,
        clientId,
        clientSecret,
        refreshToken,
      }),
    ),
  ),
  z.pipe(
    z.object({ kind: z.literal('client_credentials'), client_id: z.string(), client_secret: secretField }),
    z.transform(({ kind, client_id: clientId, client_secret: clientSecret }) => ({
      kind,
      clientId,
      clientSecret,
    })),
  ),
  z.pipe(
    z.object({
      kind: z.literal('impersonation'),
      service_account: filledText,
      delegates: z.array(filledText),
    }),
    z.transform(({ kind, service_account: serviceAccount, delegates }) => ({
      kind,
      serviceAccount,
      delegates,
    })),
  ),
  z.object({ kind: z.literal('broker_identity') }),
  z.object({ kind: z.literal('api_key'), key: secretField }),
])
