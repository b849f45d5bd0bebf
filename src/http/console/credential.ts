import { html } from 'hono/html'
import type { RotationStep } from '../../domain/rotation.ts'
import { parseTimestamp } from '../../domain/time.ts'
import type { CredentialDocument, RevokedCredentialDocument } from '../credential-schemas.ts'
import type { SummaryDocument } from '../document-schemas.ts'
import type { Form } from '../parse-form.ts'
import { AdminApiError, isAboutInput } from './admin-as.ts'
import { connectBy, stateBadge } from './credentials.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  badge,
  distance,
  facts,
  faultLines,
  formOf,
  hiddenField,
  note,
  sameBy,
  tableOf,
  timeOf,
  type Act,
  type ConsolePage,
  type PageContext,
  type Same,
  type Shown,
} from './parts.ts'
import type { NeededRole } from '../../domain/policy.ts'

const route = '/console/credentials'

interface Action {
  readonly act: string
  readonly button: string
  readonly needs: NeededRole
  readonly isFor: (credential: CredentialDocument) => boolean
  /** What will happen, said before. */
  readonly means: string
  readonly isDangerous?: boolean
}

const actions: readonly Action[] = [
  {
    act: 'rotate',
    button: 'Rotate',
    needs: 'operator',
    isFor: ({ kind, state, rotation }) =>
      kind === 'service_account_key' && state === 'enabled' && rotation === undefined,
    means:
      'A new key is made and proved at Google before it is used. The old one serves until then, and is deleted a day later. No request fails.',
  },
  {
    act: 'abort',
    button: 'Take the rotation back',
    needs: 'operator',
    isFor: ({ rotation }) => rotation !== undefined && rotation.step !== 'overlap',
    means: 'The new key is deleted again, and the old one stays the one that is used.',
  },
  {
    act: 'disable',
    button: 'Disable',
    needs: 'operator',
    isFor: ({ state }) => state === 'enabled',
    means:
      'Within 10 seconds nobody gets a token of it any more, not even one from memory. Tokens that were given already live on upstream until they end, mostly within the hour. It can be enabled again.',
  },
  {
    act: 'enable',
    button: 'Enable',
    needs: 'operator',
    isFor: ({ state }) => state === 'disabled',
    means: 'Whoever the policy lets gets tokens of it again.',
  },
  {
    act: 'revoke',
    button: 'Revoke',
    needs: 'operator',
    isFor: ({ state }) => state !== 'revoked',
    means:
      'It is switched off here for good and withdrawn at its upstream, as far as that can be done from here. It cannot be enabled again: only a new consent or a new secret brings it back.',
    isDangerous: true,
  },
  {
    act: 'destroy',
    button: 'Destroy',
    needs: 'admin',
    isFor: () => true,
    means:
      'It and all its secrets are deleted from the store, and no backup of ours has them. Rules that name it give nothing. At its upstream nothing is withdrawn: revoke it first if it is to end there.',
    isDangerous: true,
  },
]

export const credentialPage: ConsolePage = {
  route: `${route}/:name{[A-Za-z0-9_.@-]{1,200}}`,
  under: route,
  needs: 'viewer',
  show: async (context) => {
    try {
      return await showCredential(context)
    } catch (error) {
      if (error instanceof AdminApiError && error.status === 404) return gone(context)
      throw error
    }
  },
  acts: Object.fromEntries(actions.map((action) => [action.act, actOf(action)])),
}

function gone({ base, param }: PageContext): Shown {
  const main = html`${alert(html`There is no credential <strong>${param('name')}</strong>: it was destroyed, or was never enrolled.`)}
    <p>
      <a href="${base}${route}">All credentials</a>, or
      <a href="${base}/console/activity?credential=${param('name')}">what became of it</a>.
    </p>`
  return { title: 'This credential is gone', main, status: 404 }
}

async function showCredential(context: PageContext, refusal?: AdminApiError, done?: Markup): Promise<Shown> {
  const { ask, param, query, may, base, issuer } = context
  const name = param('name')
  const { value: credential, etag } = await ask<CredentialDocument>({
    method: 'GET',
    path: `credentials/${name}`,
  })
  const { value: summary } = await ask<SummaryDocument>({ method: 'GET', path: `summary?name=${name}` })
  const possible = actions.filter((action) => may(action.needs) && action.isFor(credential))
  const asked = possible.find(({ act }) => act === query.get('confirm'))
  const row = summary.credentials[0]
  const mayReconnect = may('admin') && credential.kind === 'refresh_token'
  const main = html`${refusal === undefined ? '' : refused(refusal)}${done ?? ''}
    ${asked === undefined ? '' : confirmation(context, asked, etag)} ${overview(credential, row?.last_used)}
    ${rotation(credential, context)}
    <h2>Actions</h2>
    ${
      possible.length === 0
        ? html`<p class="soft">Your role may look at it, and change nothing.</p>`
        : html`<p class="actions">
            ${possible.map(({ act, button }) => html`<a class="button" href="${base}${route}/${name}?confirm=${act}">${button}…</a>`)}
          </p>`
    }
    ${mayReconnect ? reconnect(context, credential) : ''}
    <h2>Who may use it</h2>
    ${uses(row?.used_by ?? [])}
    <h2>Health</h2>
    ${healthHistory(credential)}
    <h2>Versions</h2>
    ${versions(credential)}
    ${may('auditor') ? html`<p><a href="${base}/console/activity?credential=${name}">Its activity</a></p>` : ''}
    ${sameBy(issuer, [...sameOf(name, possible), ...(mayReconnect ? [connectBy(connectionOf(credential))] : [])])}`
  const isMoving = credential.rotation !== undefined && asked === undefined && !query.has('still')
  return { title: name, main, reloadsAfter: isMoving ? 5 : undefined, status: refusal?.status }
}

function sameOf(name: string, possible: readonly Action[]): readonly Same[] {
  return [
    { command: ['credentials', 'show', name], method: 'GET', path: `credentials/${name}` },
    ...possible.map(({ act }) => ({
      command: act === 'abort' ? ['credentials', 'rotate', name, '--abort'] : ['credentials', act, name],
      ...(act === 'destroy'
        ? { method: 'DELETE', path: `credentials/${name}` }
        : { method: 'POST', path: `credentials/${name}:${act}` }),
    })),
  ]
}

function refused(refusal: AdminApiError): Markup {
  if (refusal.status !== 412) return alert(faultLines(refusal))
  return alert(
    html`Somebody was first: this credential has changed since you looked at it, and nothing of yours was
    done. Below is how it is now. Look at it, and do it again if it is still meant.`,
  )
}

function confirmation(
  context: PageContext,
  { act, button, means, isDangerous = false }: Action,
  etag = '',
): Markup {
  const { base, param } = context
  return html`<section class="note" aria-labelledby="confirm">
    <h2 id="confirm">${button} ${param('name')}?</h2>
    <p>${means}</p>
    ${formOf(context, { act, button, fields: hiddenField('revision', etag), isPrimary: !isDangerous, isDangerous })}
    <p><a href="${base}${route}/${param('name')}">Leave it as it is</a></p>
  </section>`
}

/** As it is, and as it was before: the newest first. */
function healthHistory({ health }: CredentialDocument): Markup {
  return tableOf({
    label: 'Health',
    head: ['Since', 'Health', 'Why'],
    rows: [health, ...(health.history ?? [])].map(({ status, since, reason }) => [
      timeOf(since) ?? '',
      badge(status, healthLooks[status]),
      reason ?? '–',
    ]),
  })
}

const healthLooks = { healthy: 'good', broken: 'bad', unknown: 'plain' } as const

function overview(credential: CredentialDocument, lastUsed: string | undefined): Markup {
  const { health, revocation } = credential
  return facts([
    ['State', stateBadge(credential.state)],
    [
      'Health',
      html`${badge(health.status, healthLooks[health.status])} since ${timeOf(health.since)}
      ${health.checked_at === undefined ? '' : html`<span class="soft">(last seen ${timeOf(health.checked_at)})</span>`}`,
    ],
    ['Why', health.reason],
    ['Kind', credential.kind.replaceAll('_', ' ')],
    ['Upstream', credential.upstream],
    ['Account', credential.account],
    ['Identity', credential.identity],
    ['Key', credential.key_id],
    ['Draws on', credential.source],
    ['Scopes', credential.scopes?.join(' ')],
    ['Last used', timeOf(lastUsed)],
    ['Ends on', timeOf(credential.expires_at)],
    [
      'Rotated by itself',
      credential.rotate_after_days === undefined ? undefined : `after ${credential.rotate_after_days} days`,
    ],
    [
      'Revoked upstream',
      revocation === undefined
        ? undefined
        : `${revocation.upstream.replaceAll('_', ' ')}. ${revocation.detail ?? ''}`,
    ],
    ['Enrolled', timeOf(credential.created_at)],
    ['Changed', timeOf(credential.updated_at)],
  ])
}

const stepWords: Readonly<Record<RotationStep, string>> = {
  count: 'Look which keys there are',
  generate: 'Make a key pair here',
  upload: 'Let the upstream know its public half',
  create: 'Let the upstream make a key',
  prove: 'Prove that the new one works',
  overlap: 'Use the new one; the former one stands by',
  disable: 'Switch the former one off upstream',
  abort: 'Take everything back',
}

function rotation(
  { name, rotation: under }: CredentialDocument,
  { now, base }: PageContext,
): Markup | string {
  if (under === undefined) return ''
  const { step, method, failures, reason } = under
  const way = {
    upload: ['count', 'generate', 'upload', 'prove', 'overlap', 'disable'],
    create: ['count', 'create', 'prove', 'overlap', 'disable'],
    import: ['prove', 'overlap', 'disable'],
  } as const
  const steps: readonly RotationStep[] = step === 'abort' ? ['abort'] : way[method]
  const at = steps.indexOf(step)
  const items = steps.map((one, index) =>
    index === at
      ? html`<li aria-current="step"><strong>${stepWords[one]}</strong> ${badge('now')}</li>`
      : html`<li>${stepWords[one]} ${index < at ? badge('done', 'good') : ''}</li>`,
  )
  const next = parseTimestamp(under.next_try_at) ?? now
  return html`<h2>Rotation</h2>
    <ol class="steps">
      ${items}
    </ol>
    ${failures === 0 ? '' : alert(`This step failed ${failures} times: ${reason ?? 'no reason is known'}.`)}
    <p class="soft">
      Began ${timeOf(under.started_at)}, at this step since ${timeOf(under.since)}, goes on
      ${next > now ? distance(next - now) : 'now'}. This page shows itself again every 5 seconds;
      <a href="${base}${route}/${name}?still=true">let it stand still</a>.
    </p>`
}

function connectionOf({ name, upstream, source: client, scopes = [], account }: CredentialDocument) {
  return { name, upstream, client, scopes: scopes.join(' '), expected_account: account }
}

function reconnect(context: PageContext, credential: CredentialDocument): Markup {
  const fields = Object.entries(connectionOf(credential)).map(([name, value = '']) =>
    hiddenField(name, value),
  )
  return html`<h3>Reconnect</h3>
    <p>
      For a grant that ended, or that is to have other scopes: a link for whoever consents, with the same
      account. Until it is finished, everything stays as it is.
    </p>
    ${formOf(context, { act: 'connect', button: 'Reconnect', fields, path: route })}`
}

function uses(usedBy: readonly { readonly rule: string; readonly callers: readonly string[] }[]): Markup {
  if (usedBy.length === 0) return note('No rule of the policy gives it: nobody can have a token of it.')
  return tableOf({
    label: 'Rules',
    head: ['Rule', 'Callers'],
    rows: usedBy.map(({ rule, callers }) => [rule, callers.join(', ')]),
  })
}

function versions({ versions: all }: CredentialDocument): Markup {
  return tableOf({
    label: 'Versions',
    head: ['Version', 'State', 'Key', 'Made', 'Since', 'Goes on'],
    rows: all
      .toReversed()
      .map(({ id, state, key_id: key, created_at: made, changed_at: since, removal }) => [
        html`<code>${id}</code>`,
        badge(state, state === 'active' ? 'good' : 'odd'),
        key ?? '–',
        timeOf(made) ?? '',
        timeOf(since) ?? '',
        timeOf(removal?.due_at) ?? '–',
      ]),
  })
}

function actOf({ act, needs }: Action): Act {
  return {
    needs,
    perform: async (context: PageContext, form: Form) => {
      const { ask, param } = context
      const name = param('name')
      const request = {
        method: 'POST',
        path: `credentials/${name}:${act}`,
        ifMatch: form.get('revision'),
      } as const
      try {
        if (act === 'destroy') {
          await ask<object>(request)
          return route
        }
        if (act !== 'revoke') {
          await ask<CredentialDocument>(request)
          return `${route}/${name}`
        }
        const { value } = await ask<RevokedCredentialDocument>(request)
        const said = note(
          `Revoked here. Upstream: ${value.upstream.replaceAll('_', ' ')}. ${value.detail ?? ''}`,
        )
        return await showCredential(context, undefined, said)
      } catch (error) {
        if (!isAboutInput(error)) throw error
        return error.status === 404 ? gone(context) : showCredential(context, error)
      }
    },
  }
}
