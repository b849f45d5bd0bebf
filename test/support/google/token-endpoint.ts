import { type Form, readForm, requiredParameter } from './form.ts'
import { answerCode } from './consent-page.ts'
import { answerAssertion } from './jwt-bearer-grant.ts'
import { answerRefresh } from './refresh-token-grant.ts'
import { refuse } from './refusals.ts'
import { notImplemented, type Received, type Reply } from './reply.ts'
import type { World } from './world.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const unbuilt = new Set(['password', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'])

/** `POST https://oauth2.googleapis.com/token` (docs/google.md §1.1, §1.2). */
export async function answerToken(world: World, received: Received): Promise<Reply> {
  const form = readForm(received)
  const grantType = form.get('grant_type') ?? ''
  if (grantType === 'refresh_token') return answerRefresh(world, form)
  if (grantType === 'authorization_code') return answerCode(world, form)
  if (grantType === JWT_BEARER) return answerAssertion(world, assertionOf(form))
  if (unbuilt.has(grantType)) return notImplemented(`grant_type=${grantType}`)
  return refuse('unsupported_grant_type', `Invalid grant_type: ${grantType}`) // MEM
}

function assertionOf(form: Form): string {
  return requiredParameter(form, 'assertion')
}
