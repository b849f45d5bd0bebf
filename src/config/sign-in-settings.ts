import { parseIdentifierUrl } from './parse-url.ts'
import { optional, parseText, withDefault } from './setting.ts'

/** Where people sign in: OpenID Connect at one issuer of the policy. */
export const signInSettings = {
  signInIssuer: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_ISSUER',
      means: 'The OpenID Connect issuer at which people sign in. It must also be an issuer of the policy.',
      without: 'sign-in is off',
      example: 'https://accounts.google.com',
    },
    parseIdentifierUrl,
  ),
  signInClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLIENT_ID',
      means:
        "The console's client at that issuer; its redirect URI is `{DOWNSCOPE_ISSUER}/console/callback`.",
      without: 'required with `DOWNSCOPE_SIGN_IN_ISSUER`',
      example: 'downscope-console',
    },
    parseText,
  ),
  signInClientSecret: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLIENT_SECRET',
      means: "The secret of the console's client. A secret.",
      without: 'a public client with PKCE only',
      example: '$(cat client-secret.txt)',
    },
    parseText,
  ),
  signInCliClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID',
      means:
        'The public client of `downscope login`; its redirect URIs are on loopback: `http://127.0.0.1/callback`, any port.',
      without: "the console's",
      example: 'downscope-cli',
    },
    parseText,
  ),
  signInDeviceClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID',
      means:
        'The public client of `downscope login --device`. A person who signs in this way is at most viewer or auditor, ' +
        'unless an `admins` rule requires this client in the claim `aud`.',
      without: 'no sign-in by device code',
      example: 'downscope-device',
    },
    parseText,
  ),
  signInScopes: withDefault(
    {
      name: 'DOWNSCOPE_SIGN_IN_SCOPES',
      means: 'The scopes that a sign-in asks for, for example one that adds the claim `groups`.',
      default: 'openid email profile',
      example: 'openid email profile groups',
    },
    parseText,
  ),
} as const
