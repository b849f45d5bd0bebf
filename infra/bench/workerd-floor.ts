import { Hono } from 'hono'
import { importSPKI, jwtVerify, type CryptoKey } from 'jose'
import { brokerIssuer, tokenPath } from './names.ts'

// The floor's twin for workerd: a bare Hono Worker that verifies the same ES256 JWT by jose and answers the same.

interface Bindings {
  readonly BENCH_SPKI: string
  readonly BENCH_CALLER: string
}

let key: CryptoKey | undefined

const app = new Hono<{ Bindings: Bindings }>()
app.post(tokenPath, async (context) => {
  const { env } = context
  const form = new URLSearchParams(await context.req.text())
  const expected = { issuer: env.BENCH_CALLER, audience: brokerIssuer, algorithms: ['ES256'] }
  try {
    key ??= await importSPKI(env.BENCH_SPKI, 'ES256')
    await jwtVerify(form.get('client_assertion') ?? '', key, expected)
  } catch {
    return context.json({ error: 'invalid_client' }, 401)
  }
  return context.json({ access_token: 'the-same-for-everybody', token_type: 'Bearer', expires_in: 3600 })
})

// What a Worker exports.
export default app
