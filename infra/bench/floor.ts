import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { importSPKI, jwtVerify } from 'jose'
import { brokerIssuer, tokenPath } from './names.ts'

// The floor (a program of its own): the least that a token endpoint for signed JWTs can do. Bare Hono on
// @hono/node-server, form parsed, ES256 JWT verified by jose, small JSON answer; no policy, no replay record, no audit.

const env = process.env
const key = await importSPKI(env['BENCH_SPKI'] ?? '', 'ES256')
const expected = { issuer: env['BENCH_CALLER'] ?? '', audience: brokerIssuer, algorithms: ['ES256'] }

const app = new Hono()
app.post(tokenPath, async (context) => {
  const form = new URLSearchParams(await context.req.text())
  try {
    await jwtVerify(form.get('client_assertion') ?? '', key, expected)
  } catch {
    return context.json({ error: 'invalid_client' }, 401)
  }
  return context.json({ access_token: 'the-same-for-everybody', token_type: 'Bearer', expires_in: 3600 })
})
// Ends by itself when asked to: only so does Node write a profile.
process.once('SIGTERM', () => process.exit())
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(env['PORT']) })
