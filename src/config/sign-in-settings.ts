import { parseIdentifierUrl } from './parse-url.ts'
import { optional, parseText, withDefault } from './setting.ts'

/** Where people sign in: OpenID Connect at one issuer of the policy. */
export const signInSettings = {
  signInIssuer: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_ISSUER',
      example: 'https://accounts.google.com',
    },
    parseIdentifierUrl,
  ),
  signInClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLIENT_ID',
      example: 'downscope-console',
    },
    parseText,
  ),
  signInClientSecret: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLIENT_SECRET',
      example: '$(cat client-secret.txt)',
    },
    parseText,
  ),
  signInCliClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID',
      example: 'downscope-cli',
    },
    parseText,
  ),
  signInDeviceClientId: optional(
    {
      name: 'DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID',
      example: 'downscope-device',
    },
    parseText,
  ),
  signInScopes: withDefault(
    {
      name: 'DOWNSCOPE_SIGN_IN_SCOPES',
      default: 'openid email profile',
      example: 'openid email profile groups',
    },
    parseText,
  ),
} as const
