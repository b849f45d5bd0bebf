// Asks one major version of google-auth-library for a token, as any program does. Prints the token alone.
import { readFileSync } from 'node:fs'

const [module, kind, argument, ...more] = process.argv.slice(2)
const { ExternalAccountClient, GoogleAuth, Impersonated } = await import(module)
const auth = new GoogleAuth({ scopes: [process.env.CLIENT_SCOPE] })
if (kind === 'identity') {
  const client = await auth.getIdTokenClient(argument)
  const headers = await client.getRequestHeaders()
  const value =
    headers instanceof Headers
      ? headers.get('authorization')
      : (headers.authorization ?? headers.Authorization)
  console.log(value.replace(/^Bearer /, ''))
} else if (kind === 'token') {
  console.log(await auth.getAccessToken())
} else {
  // The broker's IAM Credentials API by the library's own client for it, which takes any address.
  const file = JSON.parse(readFileSync(process.env.GOOGLE_APPLICATION_CREDENTIALS, 'utf8'))
  const { service_account_impersonation_url: _, ...source } = file
  const [targetPrincipal, ...wanted] = more
  const client = new Impersonated({
    sourceClient: ExternalAccountClient.fromJSON(source),
    targetPrincipal,
    targetScopes: [process.env.CLIENT_SCOPE],
    endpoint: argument,
  })
  if (kind === 'ID token') {
    console.log(await client.fetchIdToken(wanted[0]))
  } else {
    const expires = Math.floor(Date.now() / 1000) + 600
    const path = `/${wanted.join('/')}`
    const { signedBlob } = await client.sign(`GET\n\n\n${expires}\n${path}`)
    const query = new URLSearchParams({
      GoogleAccessId: targetPrincipal,
      Expires: expires,
      Signature: signedBlob,
    })
    console.log(`https://storage.googleapis.com${path}?${query}`)
  }
}
