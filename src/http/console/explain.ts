import { html } from 'hono/html'
import { claimsOf, parseJsonObject } from '../../domain/json.ts'
import type { ExplanationDocument } from '../document-schemas.ts'
import type { Form } from '../parse-form.ts'
import { isAboutInput } from './admin-as.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  badge,
  facts,
  faultLines,
  field,
  formOf,
  note,
  sameBy,
  timeOf,
  type ConsolePage,
  type PageContext,
  type Same,
  type Shown,
} from './parts.ts'

const route = '/console/explain'

export const explainPage: ConsolePage = {
  route,
  under: route,
  needs: 'any',
  show: async (context) => {
    const id = context.query.get('request')
    if (id === null || id === '' || !context.may('auditor')) return showForm(context, new Map())
    return explain(context, new Map([['request', id]]))
  },
  showTyped: (context, typed) => showForm(context, typed),
  acts: { explain: { needs: 'any', perform: explain } },
}

interface Answered {
  readonly explanation?: ExplanationDocument
  readonly fault?: Markup
  readonly status?: number
}

/** A JWT that was pasted is never shown again (T24). */
async function showForm(context: PageContext, typed: Form, answered: Answered = {}): Promise<Shown> {
  const { may, issuer } = context
  const { explanation, fault, status = 200 } = answered
  const value = (name: string) => typed.get(name)
  const described = html`${field({
    name: 'jwt',
    label: 'JWT',
    rows: 4,
    hint: 'Paste one, or describe the caller below. Its signature is not looked at, it is not used up, and it is not kept.',
  })}
  ${field({ name: 'issuer', label: 'Issuer', value: value('issuer'), hint: "The caller's iss, or the policy's name for it." })}
  ${field({ name: 'subject', label: 'Subject', value: value('subject') })}
  ${field({ name: 'claims', label: 'Other claims', value: value('claims'), rows: 3, hint: 'A JSON object.' })}
  ${field({ name: 'credential', label: 'Credential', value: value('credential') })}
  ${field({ name: 'scope', label: 'Scopes', value: value('scope'), hint: 'Empty: all that the rule allows.' })}`
  const byRequest = field({
    name: 'request',
    label: 'Request id',
    value: value('request'),
    hint: 'Of a refusal: it says all, and nothing else is needed.',
  })
  const fields = html`${may('auditor') ? byRequest : ''}${may('viewer') ? described : ''}`
  const main = html`${fault === undefined ? '' : alert(fault)}
    ${explanation === undefined ? '' : answer(explanation, context)}
    <p>Why a caller gets a token, or is refused. No token is made, and no upstream is asked.</p>
    ${formOf(context, { act: 'explain', button: 'Explain', fields, isPrimary: true })}
    ${sameBy(issuer, sameOf(typed))}`
  return { title: 'Explain', main, status }
}

function sameOf(typed: Form): readonly Same[] {
  const id = typed.get('request')
  const path = 'policy:explain'
  if (id !== undefined)
    return [{ command: ['explain', '--request', id], method: 'POST', path, body: { request_id: id } }]
  const credential = typed.get('credential') ?? 'CREDENTIAL'
  const issuer = typed.get('issuer')
  const scope = typed.get('scope')
  const subject = typed.get('subject') ?? issuer
  const others = parseJsonObject(typed.get('claims') ?? '{}') ?? {}
  // Of a JWT that was pasted nothing is shown: it stays in a file.
  const who =
    issuer === undefined || subject === undefined
      ? ['--jwt', 'FILE']
      : [
          '--issuer',
          issuer,
          '--subject',
          subject,
          ...Object.entries(others).flatMap(([name, value]) => [
            '--claim',
            `${name}=${JSON.stringify(value)}`,
          ]),
        ]
  const scopes = scope?.split(' ').filter((word) => word !== '') ?? []
  return [
    {
      command: ['explain', credential, ...who, ...scopes.flatMap((one) => ['--scope', one])],
      method: 'POST',
      path,
      body: {
        issuer: issuer ?? 'ISSUER',
        claims: { ...others, sub: subject ?? 'SUBJECT' },
        credential,
        scope,
      },
    },
  ]
}

async function explain(context: PageContext, form: Form): Promise<Shown> {
  const typed = new Map([...form].filter(([name]) => name !== 'jwt'))
  const question = questionIn(form)
  if (typeof question === 'string') return showForm(context, typed, { fault: html`${question}`, status: 400 })
  try {
    const { value } = await context.ask<ExplanationDocument>({
      method: 'POST',
      path: 'policy:explain',
      body: question,
    })
    return await showForm(context, typed, { explanation: value })
  } catch (error) {
    if (!isAboutInput(error)) throw error
    return showForm(context, typed, { fault: faultLines(error), status: error.status })
  }
}

/** What to ask, or what is missing. */
function questionIn(form: Form): object | string {
  const id = form.get('request')?.trim()
  if (id !== undefined && id !== '') return { request_id: id }
  const credential = form.get('credential')?.trim()
  if (credential === undefined) return 'Name a credential.'
  const jwt = form.get('jwt')
  const shown = jwt === undefined ? {} : claimsOf(jwt.trim())
  if (shown === undefined)
    return 'This is no JWT: three parts with dots between, the second of which is a JSON object.'
  const others = form.get('claims')
  const more = others === undefined ? {} : parseJsonObject(others)
  if (more === undefined) return 'Other claims must be a JSON object, such as {"email_verified": true}.'
  const issuer = form.get('issuer') ?? shown['iss']
  if (typeof issuer !== 'string') return 'Paste a JWT, or name an issuer.'
  const subject = form.get('subject') ?? shown['sub'] ?? issuer
  const scope = form.get('scope')
  return {
    issuer,
    claims: { ...shown, ...more, sub: subject },
    credential,
    scope,
  }
}

function answer(explanation: ExplanationDocument, { base }: PageContext): Markup {
  const {
    outcome,
    reason,
    error,
    caller,
    credential,
    token,
    hints,
    refused_then: then,
    rules,
    condition,
  } = explanation
  const isGranted = outcome === 'granted'
  const signer =
    caller.issuer_name === undefined
      ? `${caller.issuer} (not trusted)`
      : `${caller.issuer_name} (${caller.issuer})`
  return html`<section class="${isGranted ? 'note' : 'alert'}" aria-labelledby="verdict">
      <h2 id="verdict">${isGranted ? 'Would get a token' : 'Gets no token'}</h2>
      ${isGranted ? '' : html`<p>${reason ?? error ?? 'Policy does not allow it.'}</p>`}
      ${
        hints.length === 0
          ? ''
          : html`<p><strong>What would help</strong></p>
              <ul>
                ${hints.map((hint) => html`<li>${hint}</li>`)}
              </ul>`
      }
    </section>
    ${facts([
      ['Caller', html`<code>${caller.subject}</code>, signed by ${signer}`],
      [
        'Of',
        credential === undefined
          ? undefined
          : html`<a href="${base}/console/credentials/${credential.name}">${credential.name}</a>
              ${credential.state ?? '(not enrolled)'}`,
      ],
      ['Failed at', condition],
      ['Decided then', then === undefined ? undefined : html`${timeOf(then.at)}: ${then.reason}`],
      [
        'Token',
        token === undefined ? undefined : `${token.token_type.replaceAll('_', ' ')} from ${token.upstream}`,
      ],
      ['Carries', token?.scopes.join(' ')],
      ['For', token?.audience],
      ['Acts for', token?.subject],
      [
        'Lives',
        token?.lifetime_seconds_max === undefined ? undefined : `at most ${token.lifetime_seconds_max} s`,
      ],
      ['Enough would be', explanation.narrowest_scopes?.join(' ')],
    ])}
    ${ruleTree(rules)}`
}

const outcomes: Readonly<Record<string, Markup>> = {
  decides: badge('decides', 'good'),
  does_not_match: badge('does not match', 'odd'),
  not_reached: badge('not reached'),
}

function ruleTree(rules: ExplanationDocument['rules']): Markup {
  if (rules.length === 0)
    return note('No rule was looked at: the reason above comes before them, or there is none for it.')
  const isDecided = rules.some(({ outcome }) => outcome === 'decides')
  const fewest = Math.min(...rules.map(({ failed }) => (failed.length === 0 ? Infinity : failed.length)))
  const nearest = isDecided ? undefined : rules.find(({ failed }) => failed.length === fewest)
  const items = rules.map((rule) => {
    const failed = rule.failed.map(
      ({ condition, wanted, found }) =>
        html`<li><code>${condition}</code> wants <code>${wanted}</code>, found <code>${found}</code></li>`,
    )
    return html`<li>
      <strong>${rule.rule}</strong> ${outcomes[rule.outcome] ?? ''}
      ${rule === nearest ? badge('nearest', 'good') : ''}
      ${
        failed.length === 0
          ? ''
          : html`<ul>
              ${failed}
            </ul>`
      }
    </li>`
  })
  return html`<h2>Rules, in the order in which they are tried</h2>
    <ol>
      ${items}
    </ol>`
}
