import type { Members } from '../../domain/json.ts'
import { credentialName } from '../../domain/credential.ts'
import type { Policy } from '../../domain/policy.ts'
import { credentialAnswer, policyAnswer, type CredentialAnswer } from '../admin-answers.ts'
import { changeOptions, connect, type AdminClient } from '../admin-client.ts'
import {
  type Call,
  type Command,
  type OptionSpec,
  scopeOption,
  scopesGiven,
  wholeNumber,
} from '../command.ts'
import { createFault, isFault, type Exit } from '../fault.ts'
import { readJsonInput } from '../files.ts'
import { note, plain, printAnswer, warn, withProgress, commandLine } from '../output.ts'
import { describeCredential, localOptions } from './credentials.ts'

const verifyOptions: readonly OptionSpec[] = [
  {
    name: '--verify',
    summary:
      'try it at its upstream first; the default, unless the upstream may replace a refresh token at each use',
  },
  { name: '--no-verify', summary: 'enrol it without trying it' },
]

export const importCommands: readonly Command[] = [
  {
    name: 'credentials import',
    summary: 'enrol a credential file as it is',
    details:
      "A service account's key file, a user's refresh token (type authorized_user), or a form of docs/downscoping.md " +
      '(impersonation, the identity of the broker, an API key). For an upstream of the policy: {"type": ' +
      '"oauth_refresh_token", "client_id", "client_secret", "refresh_token"} or {"type": "oauth_client_credentials", ' +
      '"client_id", "client_secret"}; with client_auth: private_key_jwt there is a "private_key" in place of the ' +
      'secret, as PEM or as a JWK, and "alg". The broker seals it and never shows it again; a key has to sign first, ' +
      'and its upstream has to take it. At Google a short scope name will do.',
    arguments: [{ name: 'FILE', summary: 'the credential file, - is standard input', offer: 'file' }],
    options: [
      {
        name: '--name',
        value: 'NAME',
        summary: "what callers will ask for; by default the first part of the service account's address",
      },
      scopeOption('a scope that was consented to; required for a refresh token, may be repeated'),
      {
        name: '--upstream',
        value: 'NAME',
        summary: 'the authorization server in the policy; by default google',
      },
      ...verifyOptions,
      {
        name: '--rotate-after',
        value: 'DAYS',
        summary: 'rotate a service-account key by itself when it is that old',
      },
      {
        name: '--boundary-source',
        value: 'SOURCE',
        summary:
          'what access boundaries begin with: cloud-platform, or by default a token of the granted scopes',
      },
      ...localOptions,
      ...changeOptions,
    ],
    examples: [
      'downscope credentials import reports-key.json --name reports-sa',
      'downscope credentials import team.json --name team-calendar --scope calendar.readonly',
      'downscope credentials import orders.json --name shop-orders --upstream sso --scope orders:read',
      'vault kv get -field=key reports | downscope credentials import - --name reports-sa',
    ],
    run: importCredential,
  },
]

async function importCredential(call: Call): Promise<Exit> {
  const file = call.argument('FILE')
  const secret = await readJsonInput(file, call.terminal)
  const name = call.text('--name') ?? nameOf(secret)
  const client = await connect(call)
  const policy = call.has('--curl') ? undefined : await policyInForce(client)
  const before = call.has('--curl') ? undefined : await credentialNamed(client, name)
  const verify = shallVerify(call, secret, policy)
  const body = {
    name,
    secret,
    scopes: scopesGiven(call),
    upstream: call.text('--upstream'),
    verify: verify || undefined,
    rotate_after_days: wholeNumber(call, '--rotate-after', { min: 1, max: 3_650 }),
    boundary_source: call.text('--boundary-source'),
    bounded_locally: call.has('--bounded-locally') || undefined,
    accept_unproved: call.has('--accept-unproved') || undefined,
  }
  if (call.has('--dry-run')) await refuseFaulty(body, policy)
  const enrolled = await withProgress(call, 'The broker proves that it can be used', () =>
    enrol(call, client, { file, body, before }),
  )
  const { value, document, untried } = enrolled
  const isNew = before === undefined
  printAnswer(call, document, (paint) => {
    const done = isNew ? paint.good('enrolled') : paint.odd('was enrolled already, with this very secret:')
    return `${done} ${describeCredential(value, paint)}`
  })
  if (untried !== undefined)
    warn(call.terminal, `its upstream could not be asked whether it is good: ${plain(untried)}`)
  else if (!verify)
    note(call, ({ dim }) =>
      dim('It was not tried at its upstream; with --verify it is, by a token that nobody gets.'),
    )
  tellRules(call, name, policy)
  if (file !== '-') note(call, ({ dim }) => dim(`The broker keeps it now: delete ${plain(file)}.`))
  return untried !== undefined && call.has('--verify') ? 'unreachable' : 'done'
}

interface Enrolment {
  readonly file: string
  readonly body: { readonly name: string; readonly secret: Members }
  readonly before: CredentialAnswer | undefined
}

async function enrol(call: Call, client: AdminClient, { file, body, before }: Enrolment) {
  const { name } = body
  try {
    const { value, document } = await client.ask({
      method: 'POST',
      path: 'credentials',
      body,
      file,
      answer: credentialAnswer,
    })
    const { also_enrolled_as: others = [] } = value
    if (others.length > 0)
      warn(
        call.terminal,
        `the same secret is enrolled as ${others.map(plain).join(', ')} already, and so was not tried: use one of them`,
      )
    return { value, document }
  } catch (error) {
    if (!isFault(error)) throw error
    if (error.code === 'already_exists')
      throw createFault(
        'refused',
        `there is a credential ${plain(name)} already, with another secret or other options`,
        {
          ...error,
          hints: [
            `A new version of it: ${commandLine(['downscope', 'credentials', 'rotate', name, '--with', file])}`,
          ],
        },
      )
    // What an upstream cannot say now is enrolled all the same.
    const after = error.exit === 'unreachable' ? await credentialNamed(client, name) : undefined
    if (after === undefined || before !== undefined) throw error
    return { value: after, document: after, untried: error.message }
  }
}

/** `undefined` where this version cannot read it, or nobody may see it. */
async function policyInForce(client: AdminClient): Promise<Policy | undefined> {
  const { judgePolicy } = await import('../../policy/policy-warnings.ts')
  try {
    const { value } = await client.ask({ method: 'GET', path: 'policy', answer: policyAnswer })
    const judged = judgePolicy({ text: value.document, origin: value.origin, brokerIssuer: client.url })
    return judged.ok ? judged.policy : undefined
  } catch (error) {
    if (isFault(error) && error.exit === 'refused') return undefined
    throw error
  }
}

async function credentialNamed(client: AdminClient, name: string): Promise<CredentialAnswer | undefined> {
  const path = `credentials/${encodeURIComponent(name)}`
  try {
    return (await client.ask({ method: 'GET', path, answer: credentialAnswer })).value
  } catch (error) {
    if (isFault(error) && error.code === 'not_found') return undefined
    throw error
  }
}

/** To try a refresh token may use it up where each use brings another one. */
function shallVerify(call: Call, { type }: Members, policy: Policy | undefined): boolean {
  if (call.has('--verify') && call.has('--no-verify'))
    throw createFault('usage', '--verify and --no-verify exclude each other')
  if (call.has('--verify') || call.has('--no-verify')) return call.has('--verify')
  const upstream = call.text('--upstream') ?? 'google'
  if (upstream === 'google' || type !== 'oauth_refresh_token') return true
  return policy?.upstreams.find(({ name }) => name === upstream)?.refreshTokenRotates === 'never'
}

/** With `--dry-run` the file is judged here, and the broker never sees it. */
async function refuseFaulty(body: Members, policy: Policy | undefined): Promise<void> {
  const { parseCredentialFile } = await import('../../enrolment/parse-credential-file.ts')
  const { secret, scopes, upstream } = body
  const found = policy?.upstreams.find(({ name }) => name === upstream)
  const judged = parseCredentialFile({ secret, scopes, upstream }, found)
  if (!judged.ok) throw createFault('refused', judged.faults.join('\n'), { code: 'document_invalid' })
}

function tellRules(call: Call, name: string, policy: Policy | undefined): void {
  if (policy === undefined) return
  const rules = policy.rules.filter(({ credential }) => credential === name)
  note(call, ({ dim }) =>
    dim(
      rules.length === 0
        ? 'No caller can get a token from it yet: add a rule to the policy.'
        : `Rules that give it: ${rules.map((rule) => plain(rule.name)).join(', ')}.`,
    ),
  )
}

/** `reports@acme.iam.gserviceaccount.com` is called `reports`. */
function nameOf({ client_email: email }: Members): string {
  const [local = ''] = typeof email === 'string' ? email.split('@') : []
  if (credentialName.test(local)) return local
  throw createFault('usage', 'name required: pass --name, because the file names nothing', {
    hints: ['For example: --name reports-sa'],
  })
}
