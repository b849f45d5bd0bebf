/** Google's `external_account` file, as Google's own libraries read it. */
export interface ExternalAccountFile<Source> {
  readonly type: 'external_account'
  readonly audience: string
  readonly subject_token_type: string
  readonly token_url: string
  readonly credential_source: Source
}

export type CredentialSource =
  | { readonly file: string }
  | {
      readonly url: string
      readonly headers: Readonly<Record<string, string>>
      readonly format: { readonly type: 'json'; readonly subject_token_field_name: string }
    }

/** A file that sends its reader to the broker for that credential. */
export function externalAccount<Source = CredentialSource>(
  broker: { readonly url: string },
  credential: string,
  source: Source,
): ExternalAccountFile<Source> {
  return {
    type: 'external_account',
    audience: `//${new URL(broker.url).host}/credentials/${credential}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${broker.url}/v1/token`,
    credential_source: source,
  }
}
