import { IdentityPoolClient, UserRefreshClient } from 'google-auth-library'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DRIVE, READ } from './ask.ts'
import { federatedPrincipal } from './workload-pools.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

// Google's own library as the oracle: what it sends is taken, what it is sent it understands.
let google: GoogleStandIn
beforeAll(async () => {
  google = await startGoogleStandIn()
})
afterAll(() => google.close())

test('Google’s client refreshes a user’s token here', async () => {
  const { client_id, client_secret, refresh_token } = google.createRefreshToken({ scopes: [DRIVE] })
  const client = new UserRefreshClient({
    clientId: client_id,
    clientSecret: client_secret,
    refreshToken: refresh_token,
    endpoints: { oauth2TokenUrl: google.endpoints.GOOGLE_OAUTH_TOKEN_URL },
  })
  const { token } = await client.getAccessToken()
  expect(google.token(token ?? '')).toMatchObject({ kind: 'user', scopes: [DRIVE] })
})

test('Google’s client federates and impersonates here', async () => {
  const pool = '//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool'
  const audience = `${pool}/providers/x`
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }
  google.putPoolProvider({ audience, issuer: 'https://issuer.example', jwks })
  const { client_email: email } = await google.createServiceAccount()
  google.allowImpersonation(federatedPrincipal(audience, 'workload'), email)
  const client = new IdentityPoolClient({
    type: 'external_account',
    audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: google.endpoints.GOOGLE_STS_TOKEN_URL,
    service_account_impersonation_url: `${google.endpoints.GOOGLE_IAM_CREDENTIALS_URL}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
    scopes: [READ],
    subject_token_supplier: {
      getSubjectToken: () =>
        new SignJWT({ sub: 'workload' })
          .setProtectedHeader({ alg: 'ES256', kid: 'one' })
          .setIssuer('https://issuer.example')
          .setAudience(`https:${audience}`)
          .setIssuedAt()
          .setExpirationTime('10m')
          .sign(privateKey),
    },
  })
  const { token } = await client.getAccessToken()
  expect(google.token(token ?? '')).toMatchObject({ kind: 'impersonated', subject: email, scopes: [READ] })
})
