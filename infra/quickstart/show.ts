import type { IssuedToken } from '../../test/support/google/issued-tokens.ts'
import { askForToken, assertionForm, exchangeForm, type Asked } from './ask.ts'
import { type Paint, shellWord } from '../../src/cli/output.ts'
import { calendarReadOnly, devstorageReadOnly } from './sample-policy.ts'
import { consentedScopes, serviceAccountEmail, userEmail, type World } from './world.ts'

export interface ShowDeps {
  readonly world: World
  readonly paint: Paint
  readonly print: (text: string) => void
}

/** What a newcomer sees, in this order. Each throws when something is not as it says. */
export interface Show {
  readonly places: () => Promise<void>
  readonly exchanges: () => Promise<void>
  readonly nextSteps: () => Promise<void>
}

export function createShow(deps: ShowDeps): Show {
  return {
    places: async () => showPlaces(deps),
    exchanges: () => showExchanges(deps),
    nextSteps: async () => showNextSteps(deps),
  }
}

function showPlaces({
  world: { place, broker, google, people },
  paint: { bold, dim },
  print,
}: ShowDeps): void {
  print(`
${bold('Downscope')}: a service sends a signed JWT and gets a short-lived Google access token that carries no more than policy allows.
Everything runs on your machine: a local stand-in replaces Google, and no account, key or token here is real.

  broker    ${broker.url}   ${dim(`log: ${place.shown('broker.log')}`)}
  "Google"  ${google.origin}   ${dim('stand-in, this process')}
  people    ${broker.url}/console   ${dim(`sign in without a password; the development issuer is ${people.url}`)}
  policy    ${place.shown('policy.yaml')}
  store     ${place.shown('store.db')}   ${dim('secrets in it are sealed')}

${bold('Enrolled')} through the admin API: two long-lived credentials that no caller ever sees
  reports-sa      the key of service account ${serviceAccountEmail}
  team-calendar   a refresh token of ${userEmail}, who consented to: ${short(consentedScopes)}`)
}

async function showExchanges(deps: ShowDeps): Promise<void> {
  const { world, print } = deps
  const { broker, callers, place } = world
  const ask = (form: Record<string, string>) => askForToken(broker.url, form, place.path('broker.log'))
  const workloadJwt = await callers.workload.sign(broker.url, 300)

  const first = await ask(exchangeForm(workloadJwt, 'reports-sa', devstorageReadOnly))
  showIssued(
    deps,
    '1. A workload sends the JWT that its platform signed for it (OAuth token exchange)',
    first,
  )

  const calls = world.google.calls.count()
  const second = await ask(exchangeForm(workloadJwt, 'reports-sa', devstorageReadOnly))
  if (second.audit['source'] !== 'memory' || world.google.calls.count() !== calls)
    throw new Error('the second request was not answered from memory')
  const isSame = second.answer['access_token'] === first.answer['access_token']
  showHeading(deps, '2. The workload asks again')
  print(
    `   from      ${origin(second)}: ${isSame ? 'the same token' : 'another token'}, without a request to "Google"`,
  )

  const assertion = await callers.billing.sign(broker.url, 60)
  const third = await ask(assertionForm(assertion, 'team-calendar', calendarReadOnly))
  showIssued(deps, '3. A service signs its own JWT (OAuth client credentials)', third)

  const refused = await ask(exchangeForm(workloadJwt, 'team-calendar', calendarReadOnly))
  showRefused(deps, '4. The workload of 1. asks for the credential of 3.', refused)
}

function showHeading({ paint, print }: ShowDeps, heading: string): void {
  print(`\n${paint.bold(heading)}`)
}

function showIssued(deps: ShowDeps, heading: string, asked: Asked): void {
  const { world, paint, print } = deps
  const { answer, audit } = asked
  const value = answer['access_token']
  if (asked.status !== 200 || typeof value !== 'string')
    throw new Error(`${heading}: ${asked.status} ${JSON.stringify(answer)} ${String(audit['reason'])}`)
  const token = world.google.token(value)
  if (token === undefined) throw new Error(`${heading}: the stand-in never issued this token`)
  showHeading(deps, heading)
  print(`   caller    ${String(audit['caller'])}, signed by ${String(audit['issuer'])}
   rule      ${String(audit['rule'])}
   asked     ${short(audit['scopes_asked'])} of ${String(audit['credential'])}
   got       ${paint.good(`a token for ${String(answer['expires_in'])} seconds`)}, SHA-256 ${String(audit['token_sha256']).slice(0, 16)}…
   carries   ${paint.good(carried(token))}   ${paint.dim('according to the stand-in, not the broker')}
   from      ${origin(asked)}`)
}

function showRefused(deps: ShowDeps, heading: string, { status, answer, audit, requestId }: Asked): void {
  if (status !== 400) throw new Error(`${heading}: expected a refusal, got ${status}`)
  showHeading(deps, heading)
  deps.print(`   answer    ${deps.paint.bad(`${status} ${String(answer['error'])}`)}: ${String(answer['error_description'])}
   reason    ${String(audit['reason'])}
             ${deps.paint.dim(`in the audit record of request ${requestId}; the caller gets the id, the operator the reason`)}`)
}

/** What the token really can do. */
function carried({ scopes, subject, boundary }: IssuedToken): string {
  const rules = boundary?.accessBoundaryRules ?? []
  const only = rules.map((rule) => {
    const bucket = rule.availableResource.replace(/^.*\/buckets\//, '')
    return `, only ${rule.availablePermissions.join(' ').replaceAll('inRole:', '')} in bucket ${bucket}`
  })
  return `${short(scopes)} as ${subject}${only.join('')}`
}

function origin({ audit, durationMs }: Asked): string {
  const source = String(audit['source'])
  const words: Readonly<Record<string, string>> = {
    mint: 'a fresh mint at "Google"',
    store: 'the store',
    memory: 'memory',
  }
  return `${words[source] ?? source}, in ${durationMs.toFixed(0)} ms`
}

function showNextSteps({ world, paint: { bold, dim }, print }: ShowDeps): void {
  const { broker, place } = world
  const path = (name: 'workload.jwt' | 'env') => shellWord(place.path(name))
  print(`
${bold('Try it')} in another terminal (the JWT in the file is renewed while this runs):

curl -s ${broker.url}/v1/token \\
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \\
  --data-urlencode ${shellWord(`subject_token@${place.path('workload.jwt')}`)} \\
  -d audience=reports-sa

${bold('Next')}
  sign in                   npx downscope login --url ${broker.url}
  connect by consent        npx downscope connect notes --upstream dev --client dev-client --scopes notes.read   ${dim('# then a rule gives it')}
  by the command line       . ${path('env')}; npx downscope credentials list
  change who may have what  edit ${place.shown('policy.yaml')}, and within 10 seconds it counts
  watch every decision      tail -f ${place.shown('broker.log')}
  a tour of 10 minutes      docs/tour.md; all of policy: docs/policy.md; deploy: docs/deploy-cloud-run.md, docs/deploy-workers.md

${dim('Running until you press Ctrl-C.')}`)
}

function short(scopes: unknown): string {
  const list: readonly unknown[] = Array.isArray(scopes) ? scopes : []
  return (
    list.map((scope) => String(scope).replace('https://www.googleapis.com/auth/', '')).join(', ') ||
    'everything'
  )
}
