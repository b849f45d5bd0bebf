import { renderUnicodeCompact } from 'uqr'
import * as z from 'zod/mini'
import { credentialAnswer } from '../admin-answers.ts'
import { changeOptions, connect, type AdminClient } from '../admin-client.ts'
import { yesOption, type Call, type Command, nameArgument, wholeNumber } from '../command.ts'
import { createFault } from '../fault.ts'
import { note, plain, printAnswer, withProgress } from '../output.ts'
import { confirm } from '../terminal.ts'
import { startedConnectionSchema } from '../../http/document-schemas.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'

export const connectCommands: readonly Command[] = [
  {
    name: 'connect',
    summary: 'get a refresh token by consent in a browser',
    details:
      'Prints a link for whoever is to consent, which may be somebody else; waits, and enrols what came. Under a name that ' +
      'is there already it connects again: the next version of that credential.',
    arguments: [nameArgument],
    options: [
      { name: '--upstream', value: 'NAME', summary: 'where: google, a preset, or an upstream of the policy' },
      { name: '--client', value: 'CREDENTIAL', summary: 'the oauth_client that asks', offer: 'credential' },
      {
        name: '--scopes',
        value: 'SCOPE',
        summary: 'what is asked for, with spaces between; may be repeated; at Google short names will do',
        isRepeatable: true,
      },
      { name: '--expected-account', value: 'USER', summary: 'whose consent it has to be' },
      { name: '--expires-in', value: 'SECONDS', summary: 'how long the link works; by default an hour' },
      { name: '--replace-account', summary: 'another account than before may take its place' },
      { name: '--accept-fewer-scopes', summary: 'enrol it also where some scopes were left out' },
      yesOption,
      ...changeOptions,
    ],
    examples: [
      'downscope connect team-drive --upstream google --client google-client --scopes drive.readonly --expected-account team@acme.example',
      'downscope connect team-drive',
    ],
    run: connectCredential,
  },
]

const connection = z.object({
  state: z.string(),
  account: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  asked_scopes: z.array(z.string()),
  reason: z.optional(z.string()),
})

type Connection = z.output<typeof connection>

const pollMs = 1_000

async function connectCredential(call: Call): Promise<'done'> {
  const client = await connect(call)
  const name = call.argument('NAME')
  const before = await formerOf(client, name, call)
  const scopes = call.texts('--scopes').flatMap((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
  const body = {
    name,
    upstream: call.text('--upstream') ?? before?.upstream,
    client: call.text('--client'),
    scopes: scopes.length === 0 ? before?.scopes : scopes,
    expected_account: call.text('--expected-account'),
    expires_in: wholeNumber(call, '--expires-in', { min: 1, max: 604_800 }),
    replace_account: call.has('--replace-account') ? true : undefined,
  }
  const { value } = await client.ask({
    method: 'POST',
    path: 'connections',
    body,
    answer: startedConnectionSchema,
  })
  showLink(call, value.url)
  const found = await withProgress(call, 'Waiting for the consent', () => untilAnswered(client, value.id))
  if (found.state !== 'consented') throw createFault('refused', plain(found.reason ?? `it is ${found.state}`))
  const answer = await client.ask({
    method: 'POST',
    path: `connections/${value.id}:finalize`,
    body: { nonce: value.nonce, ...(await decided(call, found)) },
    answer: credentialAnswer,
  })
  printAnswer(
    call,
    answer.document,
    ({ good }) =>
      `${good('connected')} ${plain(name)}${found.account === undefined ? '' : ` as ${plain(found.account)}`}\n`,
  )
  return 'done'
}

/** Of a credential that is connected again, what was asked for before. */
async function formerOf(client: AdminClient, name: string, call: Call) {
  if (call.has('--curl')) return undefined
  if (call.text('--upstream') !== undefined && call.texts('--scopes').length > 0) return undefined
  const path = `credentials/${encodeURIComponent(name)}`
  try {
    return (await client.ask({ method: 'GET', path, answer: credentialAnswer })).value
  } catch {
    throw createFault('usage', 'upstream and scopes required: pass --upstream NAME and --scopes SCOPES')
  }
}

/** On standard error: the link is for a person, and the answer is what comes of it. */
function showLink(call: Call, url: string): void {
  const { stderr } = call.terminal
  stderr.write(`Open this link, or send it to whoever is to consent. It works once:\n\n  ${url}\n\n`)
  if (stderr.isTTY === true) stderr.write(`${renderUnicodeCompact(url)}\n`)
}

async function untilAnswered(client: AdminClient, id: string): Promise<Connection> {
  for (;;) {
    const { value } = await client.ask({
      method: 'GET',
      path: `connections/${id}`,
      answer: connection,
    })
    if (value.state !== 'pending') return value
    await new Promise((next) => setTimeout(next, pollMs))
  }
}

/** What whoever asked decides of what came. */
async function decided(
  call: Call,
  { account, scopes = [], asked_scopes: asked }: Connection,
): Promise<object> {
  const missing = asked.filter((scope) => !scopes.includes(scope))
  if (missing.length > 0) note(call, ({ odd }) => `${odd('left out:')} ${missing.map(plain).join(' ')}`)
  const mayBeFewer = call.has('--accept-fewer-scopes')
  const isExpected = call.text('--expected-account') !== undefined
  if (account !== undefined && !isExpected) {
    note(call, ({ bold }) => `Consented: ${bold(plain(account))}, for ${scopes.map(plain).join(' ')}`)
    await confirm(call, 'Is that the right account?')
  }
  return {
    ...omitUndefined({ account }),
    ...(mayBeFewer && { accept_fewer_scopes: scopes }),
    ...(call.has('--replace-account') && { replace_account: true }),
  }
}
