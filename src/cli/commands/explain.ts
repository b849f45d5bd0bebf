import { parseJsonObject, type Members } from '../../domain/json-object.ts'
import { adminOptions, connect } from '../admin-client.ts'
import { jwtOption, readCallerJwt } from '../caller-jwt.ts'
import type { Call, Command } from '../command.ts'
import type { Exit } from '../exit-code.ts'
import { createFault } from '../fault.ts'
import { printAnswer } from '../print.ts'
import { parseExplanation, showExplanation } from '../show-explanation.ts'
import { readWishes, wishOptions } from '../wishes.ts'

export const explainCommands: readonly Command[] = [
  {
    name: 'explain',
    summary: 'explain why a caller gets a token or is refused',
    details:
      'By the request id of a refusal, or for a caller as you describe it: by a JWT of it, whose signature is not ' +
      'looked at, or by issuer, subject and claims. No token is made. Status 0 when a token would be given, 1 when not.',
    arguments: [
      { name: 'CREDENTIAL', summary: 'of which credential', isOptional: true, offer: 'credential' },
    ],
    options: [
      { name: '--request', value: 'ID', summary: 'the request id of a refusal, as its caller got it' },
      jwtOption,
      { name: '--issuer', value: 'NAME', summary: "the caller's iss, or the policy's name for it" },
      { name: '--subject', value: 'NAME', summary: "the caller's sub; by default the issuer" },
      {
        name: '--claim',
        value: 'CLAIM',
        summary: 'another claim, NAME=VALUE, where VALUE may be JSON; may be repeated',
        isRepeatable: true,
      },
      ...wishOptions,
      {
        name: '--token-type',
        value: 'TYPE',
        summary: 'what is wanted',
        offer: ['access_token', 'id_token', 'api_key'],
      },
      ...adminOptions,
    ],
    examples: [
      'downscope explain --request e7375fd5-1464-41d8-a9ff-3614b85af4e2',
      'downscope explain reports-sa --jwt workload.jwt',
      'downscope explain reports-sa --issuer cluster --subject system:serviceaccount:billing:exporter --claim kubernetes.io=\'{"namespace":"billing"}\'',
      'downscope explain team-calendar --issuer billing --scope https://www.googleapis.com/auth/calendar.readonly',
    ],
    run: explain,
  },
]

async function explain(call: Call): Promise<Exit> {
  const body = await questionOf(call)
  const client = await connect(call)
  const answer = await client.ask({ method: 'POST', path: 'policy:explain', body, parse: parseExplanation })
  printAnswer(call, answer.document, (paint) => showExplanation(answer.value, paint))
  return answer.value.outcome === 'granted' ? 'done' : 'refused'
}

async function questionOf(call: Call): Promise<object> {
  const requestId = call.text('--request')
  const credential = call.text('CREDENTIAL')
  if (requestId !== undefined) {
    if (credential !== undefined) throw createFault('usage', '--request says all: leave the credential out')
    return { request_id: requestId }
  }
  if (credential === undefined)
    throw createFault('usage', 'what shall be explained? Name a credential, or give --request ID')
  const { issuer, claims } = await callerOf(call)
  const { scopes, lifetimeSeconds, actFor, boundary, resource } = await readWishes(call)
  return {
    issuer,
    claims,
    credential,
    scope: scopes,
    token_type: call.text('--token-type'),
    resource,
    requested_subject: actFor,
    requested_lifetime: lifetimeSeconds,
    options: boundary,
  }
}

async function callerOf(call: Call): Promise<{ readonly issuer: string; readonly claims: Members }> {
  const shown = (await readCallerJwt(call))?.claims ?? {}
  const issuer = call.text('--issuer') ?? textOf(shown['iss'])
  if (issuer === undefined)
    throw createFault('usage', 'who is the caller? Give --jwt FILE, or --issuer NAME', {
      hints: [
        'For example: downscope explain reports-sa --issuer cluster --subject system:serviceaccount:a:b',
      ],
    })
  const subject = call.text('--subject') ?? textOf(shown['sub']) ?? issuer
  return { issuer, claims: { ...shown, sub: subject, ...claimsIn(call.texts('--claim')) } }
}

function claimsIn(texts: readonly string[]): Members {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw createFault('usage', `--claim ${text} is not NAME=VALUE`)
      return [text.slice(0, at), valueOf(text.slice(at + 1))]
    }),
  )
}

/** JSON where it is JSON, so that `true` and `["a"]` can be said; any other text is itself. */
function valueOf(text: string): unknown {
  return parseJsonObject(`{"value":${text}}`)?.['value'] ?? text
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
