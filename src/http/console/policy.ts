import { structuredPatch } from 'diff'
import { html } from 'hono/html'
import type {
  AppliedPolicyDocument,
  PolicyDocument,
  PolicyVersionDocument,
  PolicyVersionsDocument,
  ValidPolicyDocument,
} from '../credential-schemas.ts'
import type { SummaryDocument } from '../document-schemas.ts'
import type { Form } from '../parse-form.ts'
import { AdminApiError, isAboutInput } from './admin-as.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  facts,
  field,
  hiddenField,
  note,
  sameBy,
  tableOf,
  timeOf,
  type ConsolePage,
  type PageContext,
  type Same,
  type Shown,
} from './parts.ts'

const route = '/console/policy'
/** A policy has at most a megabyte, and a form writes some characters with three. */
const formBytesMax = 3_500_000
/** Credentials that a look for warnings may read without being asked for. */
const checkedUnasked = 50
/** Lines that two texts may differ in before a diff is too dear to make. */
const editsMax = 2_000

export const policyPage: ConsolePage = {
  route,
  under: route,
  needs: 'viewer',
  bytesMax: formBytesMax,
  show: async (context) => {
    const { query } = context
    const version = query.get('version')
    if (version !== null) return showVersion(context, version)
    return query.get('edit') === 'true' ? startEditing(context) : showPolicy(context)
  },
  showTyped: (context, typed) => showEditor(context, textIn(typed), typed.get('revision') ?? '', {}),
  acts: {
    check: { needs: 'viewer', perform: check },
    apply: { needs: 'admin', perform: (context, form) => apply(context, form, false) },
    force: { needs: 'admin', perform: (context, form) => apply(context, form, true) },
  },
}

async function showPolicy(context: PageContext): Promise<Shown> {
  const { ask, base, may, issuer, query } = context
  const { value: policy, etag } = await ask<PolicyDocument>({ method: 'GET', path: 'policy' })
  const { value: versions } = await ask<PolicyVersionsDocument>({ method: 'GET', path: 'policy/versions' })
  // A check reads every credential: of many only where somebody asks for it.
  const { value: summary } = await ask<SummaryDocument>({ method: 'GET', path: 'summary?limit=1' })
  const isChecked = summary.total < checkedUnasked || query.get('warnings') === 'true'
  const warnings = isChecked ? await warningsOf(context, policy.document) : undefined
  const main = html`${
      policy.fault === undefined
        ? ''
        : alert(
            html`<p>
                A newer document is not in force, because it has faults; the last good one stays. Its faults
                are:
              </p>
              <pre>${policy.fault}</pre>`,
          )
    }
    ${facts([
      ['Revision', html`<code>${policy.revision}</code>`],
      ['From', policy.origin],
      ['Read', timeOf(policy.loaded_at)],
    ])}
    <p class="actions">
      <a class="button" href="${base}${route}?edit=true"
        >${may('admin') && isInStore(policy) ? 'Edit' : 'Check a change'}</a
      >
    </p>
    <h2>Warnings</h2>
    ${warnings === undefined ? html`<p><a href="${base}${route}?warnings=true">Look for warnings</a>, which reads every credential.</p>` : warningList(warnings)}
    <h2>Document in force</h2>
    ${numbered(policy.document)}
    <h2>Versions</h2>
    ${versionTable(versions, context)}
    ${sameBy(issuer, [
      { command: ['policy', 'show'], method: 'GET', path: 'policy' },
      { command: ['policy', 'show', '--versions'], method: 'GET', path: 'policy/versions' },
      ...(may('admin') && isInStore(policy) ? [applyBy(etag)] : []),
    ])}`
  return { title: 'Policy', main }
}

/** The one that is in force is replaced, and no other. */
function applyBy(ifMatch: string | undefined): Same {
  return {
    command: ['policy', 'apply', 'FILE'],
    method: 'PUT',
    path: 'policy',
    file: 'FILE',
    ifMatch,
  }
}

/** Where it lies in a file or a setting, it is changed there. */
function isInStore({ origin }: PolicyDocument): boolean {
  return origin.startsWith('store version')
}

type Warnings = ValidPolicyDocument['warnings']

async function warningsOf({ ask }: PageContext, yaml: string): Promise<Warnings> {
  try {
    return (await ask<ValidPolicyDocument>({ method: 'POST', path: 'policy:validate', yaml })).value.warnings
  } catch (error) {
    if (error instanceof AdminApiError && error.status < 500) return []
    throw error
  }
}

function warningList(warnings: Warnings): Markup {
  if (warnings.length === 0) return html`<p>None.</p>`
  return html`<ul>
    ${warnings.map(({ line, text, path }) => html`<li><a href="#L${line}">Line ${line}</a>: ${text} <span class="soft">(<code>${path}</code>)</span></li>`)}
  </ul>`
}

/** Each line may be linked to; the numbers are the style sheet's, so that they are not copied along. */
function numbered(text: string): Markup {
  const lines = text.replace(/\n$/, '').split('\n')
  return html`<div class="scroll" role="region" tabindex="0" aria-label="Document">
    <pre class="numbered">${lines.map((line, index) => html`<span id="L${index + 1}">${line} </span>`)}</pre>
  </div>`
}

function versionTable({ versions }: PolicyVersionsDocument, { base }: PageContext): Markup {
  if (versions.length === 0) return note('The policy lies in a file or a setting: versions are kept there.')
  return tableOf({
    label: 'Versions',
    head: ['Version', 'Applied', 'By', 'Revision'],
    rows: versions.map(({ number, revision, by, applied_at: at }) => [
      html`<a href="${base}${route}?version=${revision}">${number}</a>`,
      timeOf(at) ?? '',
      by,
      html`<code>${revision}</code>`,
    ]),
  })
}

async function readVersion({ ask }: PageContext, revision: string) {
  return (await ask<PolicyVersionDocument>({ method: 'GET', path: `policy/versions/${revision}` })).value
}

async function showVersion(context: PageContext, revision: string): Promise<Shown> {
  const version = await readVersion(context, revision)
  const former = version.former === undefined ? undefined : await readVersion(context, version.former)
  const main = html`${facts([
      ['Applied', timeOf(version.applied_at)],
      ['By', version.by],
      ['Revision', html`<code>${version.revision}</code>`],
    ])}
    <h2>What it changed</h2>
    ${former === undefined ? note('Nothing is known of the version before.') : diff(former.document, version.document)}
    <h2>The whole document</h2>
    ${numbered(version.document)}
    <p><a href="${context.base}${route}">The policy in force</a></p>
    ${sameBy(context.issuer, [
      {
        command: ['policy', 'show', '--revision', revision],
        method: 'GET',
        path: `policy/versions/${revision}`,
      },
    ])}`
  return { title: `Policy, version ${version.number}`, main }
}

/** As a unified diff with three lines around each change. */
function diff(from: string, to: string): Markup {
  if (from === to) return note('Nothing: the documents are the same.')
  const patch = structuredPatch('', '', from, to, '', '', { context: 3, maxEditLength: editsMax })
  if (patch === undefined)
    return note('They differ in too many lines to be compared here: downscope policy diff does it.')
  const kinds: Readonly<{ [sign: string]: string }> = { '+': 'added', '-': 'removed' }
  const lines = patch.hunks.flatMap(({ oldStart, newStart, lines: of }) => [
    html`<span class="hunk">@@ ${oldStart} → ${newStart} @@ </span>`,
    ...of.map((line) => html`<span class="${kinds[line[0] ?? ''] ?? 'same'}">${line} </span>`),
  ])
  return html`<div class="scroll" role="region" tabindex="0" aria-label="Changes">
    <pre class="diff">${lines}</pre>
  </div>`
}

async function startEditing(context: PageContext): Promise<Shown> {
  const { value, etag } = await context.ask<PolicyDocument>({ method: 'GET', path: 'policy' })
  return showEditor(context, value.document, etag ?? '', { isFresh: true, inStore: isInStore(value) })
}

interface Edited {
  readonly isFresh?: boolean
  readonly inStore?: boolean
  readonly said?: Markup
  readonly status?: number
  readonly mayForce?: boolean
}

async function showEditor(
  context: PageContext,
  text: string,
  revision: string,
  edited: Edited,
): Promise<Shown> {
  const { may, base, issuer, hidden } = context
  const inStore =
    edited.inStore ?? isInStore((await context.ask<PolicyDocument>({ method: 'GET', path: 'policy' })).value)
  const mayApply = may('admin') && inStore
  const lines = Math.min(40, Math.max(12, text.split('\n').length + 1))
  const main = html`${edited.said ?? ''}
    ${mayApply ? '' : note(inStore ? 'Your role may check a change, and not apply it.' : 'The policy lies in a file or a setting: check a change here, and apply it there.')}
    <form method="post" action="${base}${route}">
      ${hidden}${hiddenField('revision', revision)}
      ${field({ name: 'text', label: 'Document', value: text, rows: lines })}
      <p class="actions">
        <button name="act" value="check" class="${mayApply ? '' : 'primary'}">Check</button>
        ${mayApply ? html`<button name="act" value="apply" class="primary">Apply</button>` : ''}
        ${edited.mayForce === true ? html`<button name="act" value="force" class="danger">Apply all the same</button>` : ''}
      </p>
    </form>
    <p><a href="${base}${route}">Leave it as it is</a></p>
    ${sameBy(issuer, [
      {
        command: ['policy', 'apply', 'FILE', '--dry-run'],
        method: 'POST',
        path: 'policy:validate',
        file: 'FILE',
      },
      ...(mayApply ? [applyBy(revision)] : []),
    ])}`
  return { title: 'Change the policy', main, status: edited.status ?? 200 }
}

/** Browsers write CRLF into forms (HTML §4.10.21.7). */
function textIn(form: Form): string {
  return (form.get('text') ?? '').replaceAll('\r\n', '\n')
}

async function check(context: PageContext, form: Form): Promise<Shown> {
  const [text, revision] = [textIn(form), form.get('revision') ?? '']
  try {
    const { value } = await context.ask<ValidPolicyDocument>({
      method: 'POST',
      path: 'policy:validate',
      yaml: text,
    })
    const inForce = (await context.ask<PolicyDocument>({ method: 'GET', path: 'policy' })).value
    const said = html`<section class="note" aria-labelledby="checked">
      <h2 id="checked">No faults</h2>
      ${value.warnings.length === 0 ? '' : warningWords(value.warnings)}
      <p>It would change:</p>
      ${diff(inForce.document, text)}
    </section>`
    return await showEditor(context, text, revision, { said, inStore: isInStore(inForce) })
  } catch (error) {
    return showFaults(context, { text, revision }, error)
  }
}

function warningWords(warnings: Warnings): Markup {
  return html`<ul>
    ${warnings.map(({ line, text }) => html`<li>Line ${line}: ${text}</li>`)}
  </ul>`
}

async function apply(context: PageContext, form: Form, isForced: boolean): Promise<Shown | string> {
  const [text, revision] = [textIn(form), form.get('revision') ?? '']
  try {
    const path = isForced ? 'policy?force=true' : 'policy'
    const { value } = await context.ask<AppliedPolicyDocument>({
      method: 'PUT',
      path,
      yaml: text,
      ifMatch: revision,
    })
    return `${route}?version=${value.revision}`
  } catch (error) {
    return showFaults(context, { text, revision }, error)
  }
}

interface Typed {
  readonly text: string
  readonly revision: string
}

/** What was typed stays, whatever is wrong with it. */
async function showFaults(context: PageContext, { text, revision }: Typed, error: unknown): Promise<Shown> {
  if (!isAboutInput(error)) throw error
  const { status } = error
  if (status === 412) return showConflict(context, { text, revision })
  const mayForce = error.code === 'would_lock_out'
  const lines = text.split('\n')
  const faults = error.detail.split('\n').map((fault) => {
    const line = Number(/^[^:\s]*:(\d+)/.exec(fault)?.[1] ?? 0)
    const written = lines[line - 1]
    return html`<li>${fault}${written === undefined ? '' : html`<pre>${line}: ${written}</pre>`}</li>`
  })
  const said = alert(
    html`<p>${mayForce ? 'Nothing was applied.' : 'It has faults, and nothing was applied.'}</p>
      <ul>
        ${faults}
      </ul>`,
  )
  return showEditor(context, text, revision, { said, status, mayForce })
}

/** Two people at once: who was first, what that changed, and what is typed here against it; both are kept. */
async function showConflict(context: PageContext, { text, revision }: Typed): Promise<Shown> {
  // Not the one in force here: this instance may see theirs some seconds later.
  const { value: history } = await context.ask<PolicyVersionsDocument>({
    method: 'GET',
    path: 'policy/versions',
  })
  const newest = history.versions[0]?.revision ?? ''
  const first = await readVersion(context, newest)
  const etag = `"${encodeURIComponent(newest)}"`
  const seen = decodeURIComponent(revision.replaceAll('"', ''))
  const before = await readVersion(context, seen).catch((error: unknown) => {
    if (error instanceof AdminApiError && error.status < 500) return undefined
    throw error
  })
  const said = alert(
    html`<p>
        Somebody was first: <code>${first.by}</code> applied version ${first.number} at
        ${timeOf(first.applied_at)}. Nothing of yours was applied, and both are kept: theirs is in force, and
        yours is below.
      </p>
      <h2>What they changed</h2>
      ${before === undefined ? note('Nothing is known of the version that you began with.') : diff(before.document, first.document)}
      <h2>What yours would change now</h2>
      ${diff(first.document, text)}
      <p>Put their change into your text, or take yours out. Applying replaces their version.</p>`,
  )
  return showEditor(context, text, etag, { said, status: 412, inStore: true })
}
