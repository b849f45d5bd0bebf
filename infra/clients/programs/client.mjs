// Asks one major version of google-auth-library for a token, as any program does. Prints the token alone.
const [module, kind, argument] = process.argv.slice(2)
const { GoogleAuth } = await import(module)
const auth = new GoogleAuth({ scopes: [process.env.CLIENT_SCOPE] })
if (kind === 'identity') {
  const client = await auth.getIdTokenClient(argument)
  const headers = await client.getRequestHeaders()
  const value =
    headers instanceof Headers
      ? headers.get('authorization')
      : (headers.authorization ?? headers.Authorization)
  console.log(value.replace(/^Bearer /, ''))
} else {
  console.log(await auth.getAccessToken())
}
