import type { Json } from './caller.ts'

/** What is known of an authorization server, in the words of the policy's `upstreams`. */
export interface UpstreamPreset {
  /** What the policy says in place of `{NAME}`, in `with`, and the words that are not taken there. */
  readonly placeholders?: Readonly<Record<string, readonly string[]>>
  readonly entry: Readonly<Record<string, Json>>
}

/**
 * The servers that are asked for most, each with what is peculiar to it (docs/preset-*.md). Without placeholders a preset is
 * an upstream by its name; with some, or to change something, an entry of the policy says `preset: NAME`.
 */
export const upstreamPresets: Readonly<Record<string, UpstreamPreset>> = {
  microsoft: {
    // T15: there anybody in the world may sign in.
    placeholders: { tenant: ['common', 'organizations', 'consumers'] },
    entry: {
      issuer: 'https://login.microsoftonline.com/{tenant}/v2.0',
      token_endpoint: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
      authorization_endpoint: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize',
      client_auth: 'client_secret_post',
      // Its replies name everything that was consented for the resource, whatever was asked for.
      scope_in_refresh: 'omit',
      consent_scopes: ['openid', 'profile', 'email', 'offline_access'],
      // An e-mail address of Entra ID is not verified, and `sub` is another one for each client.
      subject_claims: ['tid', 'oid'],
    },
  },
  github: {
    entry: {
      issuer: 'https://github.com/login/oauth',
      token_endpoint: 'https://github.com/login/oauth/access_token',
      authorization_endpoint: 'https://github.com/login/oauth/authorize',
      client_auth: 'client_secret_post',
      scope_in_refresh: 'omit',
      expires_in_text: true,
      errors_with_status_200: true,
      invalid_grant_errors: ['bad_refresh_token'],
      consent_scopes: [],
      account_endpoint: { url: 'https://api.github.com/user', subject: '/id', name: '/login' },
    },
  },
  gitlab: {
    entry: {
      issuer: 'https://gitlab.com',
      token_endpoint: 'https://gitlab.com/oauth/token',
      revocation_endpoint: 'https://gitlab.com/oauth/revoke',
      authorization_endpoint: 'https://gitlab.com/oauth/authorize',
      client_auth: 'client_secret_post',
      consent_scopes: ['openid', 'email'],
    },
  },
  slack: {
    entry: {
      token_endpoint: 'https://slack.com/api/oauth.v2.access',
      authorization_endpoint: 'https://slack.com/oauth/v2/authorize',
      client_auth: 'client_secret_post',
      scope_separator: ',',
      scope_in_refresh: 'omit',
      token_type: 'bot',
      errors_with_status_200: true,
      invalid_grant_errors: ['invalid_refresh_token'],
      consent_scopes: [],
      account_endpoint: {
        url: 'https://slack.com/api/auth.test',
        method: 'POST',
        subject: '/team_id',
        name: '/team',
      },
    },
  },
  salesforce: {
    placeholders: { domain: [] },
    entry: {
      issuer: 'https://{domain}.my.salesforce.com',
      token_endpoint: 'https://{domain}.my.salesforce.com/services/oauth2/token',
      revocation_endpoint: 'https://{domain}.my.salesforce.com/services/oauth2/revoke',
      authorization_endpoint: 'https://{domain}.my.salesforce.com/services/oauth2/authorize',
      client_auth: 'client_secret_post',
      scope_in_refresh: 'omit',
      // Its reply tells no life: not more than the session timeout of the organisation.
      lifetime_seconds_default: 900,
      consent_scopes: ['openid', 'refresh_token'],
    },
  },
  atlassian: {
    entry: {
      token_endpoint: 'https://auth.atlassian.com/oauth/token',
      authorization_endpoint: 'https://auth.atlassian.com/authorize',
      client_auth: 'client_secret_post',
      scope_in_refresh: 'omit',
      authorization_parameters: { audience: 'api.atlassian.com', prompt: 'consent' },
      consent_scopes: ['offline_access', 'read:me'],
      account_endpoint: { url: 'https://api.atlassian.com/me', subject: '/account_id', name: '/account_id' },
    },
  },
  zoom: {
    entry: {
      token_endpoint: 'https://zoom.us/oauth/token',
      revocation_endpoint: 'https://zoom.us/oauth/revoke',
      authorization_endpoint: 'https://zoom.us/oauth/authorize',
      client_auth: 'client_secret_basic',
      scope_in_refresh: 'omit',
      invalid_grant_errors: ['invalid_request'],
      consent_scopes: ['user:read:user'],
      account_endpoint: { url: 'https://api.zoom.us/v2/users/me', subject: '/id', name: '/id' },
    },
  },
  hubspot: {
    entry: {
      token_endpoint: 'https://api.hubapi.com/oauth/2026-03/token',
      revocation_endpoint: 'https://api.hubapi.com/oauth/2026-03/token/revoke',
      authorization_endpoint: 'https://app.hubspot.com/oauth/authorize',
      client_auth: 'client_secret_post',
      scope_in_refresh: 'omit',
      refresh_token_rotates: false,
      // Who consented is told at an address with the access token in it, and that is not asked.
      consent_scopes: ['oauth'],
    },
  },
  dropbox: {
    entry: {
      token_endpoint: 'https://api.dropboxapi.com/oauth2/token',
      authorization_endpoint: 'https://www.dropbox.com/oauth2/authorize',
      client_auth: 'client_secret_post',
      refresh_token_rotates: false,
      authorization_parameters: { token_access_type: 'offline' },
      consent_scopes: ['account_info.read'],
      account_endpoint: {
        url: 'https://api.dropboxapi.com/2/users/get_current_account',
        method: 'POST',
        subject: '/account_id',
        name: '/account_id',
      },
    },
  },
}
