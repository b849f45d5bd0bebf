import { parseBaseUrl, parseEndpoint } from './parse-url.ts'
import { withDefault } from './setting.ts'

/** The only addresses of Google that are ever called (P29). */
export const googleEndpoints = {
  googleOauthTokenUrl: withDefault(
    {
      name: 'GOOGLE_OAUTH_TOKEN_URL',
      default: 'https://oauth2.googleapis.com/token',
      example: 'http://127.0.0.1:9000/token',
    },
    parseEndpoint,
  ),
  googleOauthAuthorizationUrl: withDefault(
    {
      name: 'GOOGLE_OAUTH_AUTHORIZATION_URL',
      default: 'https://accounts.google.com/o/oauth2/v2/auth',
      example: 'http://127.0.0.1:9000/authorize',
    },
    parseEndpoint,
  ),
  googleStsTokenUrl: withDefault(
    {
      name: 'GOOGLE_STS_TOKEN_URL',
      default: 'https://sts.googleapis.com/v1/token',
      example: 'http://127.0.0.1:9000/sts/v1/token',
    },
    parseEndpoint,
  ),
  googleIamCredentialsUrl: withDefault(
    {
      name: 'GOOGLE_IAM_CREDENTIALS_URL',
      default: 'https://iamcredentials.googleapis.com',
      example: 'http://127.0.0.1:9000/iamcredentials',
    },
    parseBaseUrl,
  ),
  googleIamUrl: withDefault(
    {
      name: 'GOOGLE_IAM_URL',
      default: 'https://iam.googleapis.com',
      example: 'http://127.0.0.1:9000/iam',
    },
    parseBaseUrl,
  ),
  googleKmsUrl: withDefault(
    {
      name: 'GOOGLE_KMS_URL',
      default: 'https://cloudkms.googleapis.com',
      example: 'http://127.0.0.1:9000/kms',
    },
    parseBaseUrl,
  ),
  googleRevokeUrl: withDefault(
    {
      name: 'GOOGLE_REVOKE_URL',
      default: 'https://oauth2.googleapis.com/revoke',
      example: 'http://127.0.0.1:9000/revoke',
    },
    parseEndpoint,
  ),
  googleTokeninfoUrl: withDefault(
    {
      name: 'GOOGLE_TOKENINFO_URL',
      default: 'https://oauth2.googleapis.com/tokeninfo',
      example: 'http://127.0.0.1:9000/tokeninfo',
    },
    parseEndpoint,
  ),
} as const
