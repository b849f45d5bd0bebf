import { credentialAnswer, type CredentialAnswer, allCredentials } from '../admin-answers.ts'
import { askAndPrint, changeOptions, readOptions, connect } from '../admin-client.ts'
import { type Call, type Command, credentialPath, nameArgument } from '../command.ts'
import { credentialKinds, credentialStates } from '../../domain/credential.ts'
import * as z from 'zod/mini'
import { createFault } from '../fault.ts'
import { type Paint, noteSwitchedOff, printAnswer, counted, plain, table } from '../output.ts'
import { stepWords, stateWord, versionTable } from './versions.ts'

export const localOptions = [
  {
    name: '--bounded-locally',
    summary: 'seal access boundaries in the broker, without a request for each (docs/downscoping.md)',
  },
  {
    name: '--accept-unproved',
    summary: 'do so although it is not recorded that Google refuses an intermediary token alone',
  },
] as const

export const credentialCommands: readonly Command[] = [
  {
    name: 'credentials list',
    summary: 'list all credentials and their health',
    details:
      'With a filter or --sort: what the console shows, from the summary that maintenance keeps, 50 at most.',
    options: [
      {
        name: '--attention',
        summary: 'only those that need attention: broken, stuck, ending, refused often',
      },
      { name: '--search', value: 'TEXT', summary: 'only those with this text in name, account or scopes' },
      { name: '--kind', value: 'KIND', summary: 'only of this kind', offer: credentialKinds },
      { name: '--state', value: 'STATE', summary: 'only in this state', offer: credentialStates },
      {
        name: '--sort',
        value: 'ORDER',
        summary: 'by name, or by when it was used or rotated last, or ends',
        offer: ['name', 'last_used', 'rotated_at', 'ends_at'],
      },
      { name: '--offset', value: 'N', summary: 'leave out the first N that match' },
      ...readOptions,
    ],
    examples: [
      'downscope credentials list',
      'downscope credentials list --json',
      'downscope credentials list --attention',
      'downscope credentials list --kind service_account_key --sort rotated_at',
    ],
    run: (call) => {
      const filter = filterIn(call)
      return filter.size === 0 ? listCredentials(call) : listSummary(call, filter)
    },
  },
  {
    name: 'credentials show',
    summary: 'show one credential and its versions, without its secret',
    arguments: [nameArgument],
    options: readOptions,
    examples: ['downscope credentials show reports-sa'],
    run: async (call) => {
      const show = { method: 'GET', path: credentialPath(call), answer: credentialAnswer } as const
      await askAndPrint(call, show, describeCredential)
      return 'done'
    },
  },
  {
    name: 'credentials boundaries',
    summary: "choose how access boundaries are put on a credential's tokens",
    details:
      'By an exchange for each boundary, or sealed in the broker behind a token that all share for an hour. ' +
      'docs/downscoping.md says what is taken on trust.',
    arguments: [nameArgument],
    options: [
      ...localOptions,
      { name: '--not-locally', summary: 'let the Security Token Service put every boundary on' },
      {
        name: '--source',
        value: 'SOURCE',
        summary: 'what an exchange begins with: cloud-platform, or granted for a token of the granted scopes',
      },
      ...changeOptions,
    ],
    examples: [
      'downscope credentials boundaries reports-sa --bounded-locally --accept-unproved',
      'downscope credentials boundaries reports-sa --source cloud-platform',
    ],
    run: changeBoundaries,
  },
  stateCommand('disable', {
    summary: 'issue no token of a credential until it is enabled again',
    details:
      'The instance that answers stops at once, every other that can read the store within 10 seconds, for tokens in memory too.',
  }),
  stateCommand('enable', { summary: 'put a disabled credential back into service' }),
]

function stateCommand(verb: 'disable' | 'enable', words: Pick<Command, 'summary' | 'details'>): Command {
  return {
    name: `credentials ${verb}`,
    ...words,
    arguments: [nameArgument],
    options: changeOptions,
    examples: [`downscope credentials ${verb} reports-sa`],
    run: async (call) => {
      const act = {
        method: 'POST',
        path: credentialPath(call, `:${verb}`),
        answer: credentialAnswer,
      } as const
      const { updated_at: since } = await askAndPrint(
        call,
        act,
        ({ name, state }, { bold }) => `${bold(plain(name))} is ${state}\n`,
      )
      if (verb === 'disable') noteSwitchedOff(call, { since })
      return 'done'
    },
  }
}

async function changeBoundaries(call: Call): Promise<'done'> {
  const source = call.text('--source')
  const [isOn, isOff] = [call.has('--bounded-locally'), call.has('--not-locally')]
  if (isOn && isOff) throw createFault('usage', 'give either --bounded-locally or --not-locally')
  if (!isOn && !isOff && source === undefined)
    throw createFault('usage', 'nothing to change: give --bounded-locally, --not-locally or --source')
  const body = {
    bounded_locally: isOn || isOff ? isOn : undefined,
    accept_unproved: call.has('--accept-unproved') || undefined,
    boundary_source: source === 'granted' ? null : source,
  }
  const change = { method: 'PATCH', path: credentialPath(call), body, answer: credentialAnswer } as const
  await askAndPrint(call, change, describeCredential)
  return 'done'
}

/** As `GET /v1/admin/summary` takes them. */
function filterIn(call: Call): URLSearchParams {
  const filter = new URLSearchParams(call.has('--attention') ? { attention: 'true' } : {})
  for (const name of ['search', 'kind', 'state', 'sort', 'offset']) {
    const value = call.text(`--${name}`)
    if (value !== undefined) filter.set(name, value)
  }
  return filter
}

const summaryAnswer = z.looseObject({
  total: z.number(),
  matching: z.number(),
  credentials: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      account: z.string(),
      state: z.string(),
      health: z.string(),
      attention: z.optional(z.string()),
      last_used: z.optional(z.string()),
      rotated_at: z.string(),
      ends_at: z.optional(z.string()),
    }),
  ),
})

async function listSummary(call: Call, filter: URLSearchParams): Promise<'done'> {
  const list = { method: 'GET', path: `summary?${filter.toString()}`, answer: summaryAnswer } as const
  await askAndPrint(call, list, ({ credentials, matching, total }, paint) => {
    const rows = credentials.map((one) => [
      plain(one.name),
      stateWord(one.state, paint),
      healthWord(one.health, paint),
      one.attention === undefined ? '' : paint.odd(plain(one.attention).replaceAll('_', ' ')),
      kindWord(one.kind),
      plain(one.account),
      plain(one.last_used ?? '-'),
      plain(one.rotated_at),
      plain(one.ends_at ?? '-'),
    ])
    const shown = `${matching} of ${counted(total, 'credential')}\n`
    return rows.length === 0 ? shown : `${table([summaryHead.map(paint.bold), ...rows])}${shown}`
  })
  return 'done'
}

const summaryHead: readonly string[] = [
  'NAME',
  'STATE',
  'HEALTH',
  'ATTENTION',
  'KIND',
  'ACCOUNT',
  'LAST USED',
  'LAST ROTATED',
  'ENDS',
]

async function listCredentials(call: Call): Promise<'done'> {
  const client = await connect(call)
  const all = await allCredentials(client)
  printAnswer(call, { credentials: all.documents }, (paint) => {
    if (all.credentials.length === 0)
      return 'There are no credentials yet: downscope credentials import FILE\n'
    const isBounded = all.credentials.some((credential) => credential.bounded_locally)
    const heading = ['NAME', 'STATE', 'HEALTH', 'KIND', 'IDENTITY', ...(isBounded ? ['BOUNDED'] : [])].map(
      paint.bold,
    )
    const rows = all.credentials.map((credential) => [
      plain(credential.name),
      stateWord(credential.state, paint),
      healthWord(credential.health.status, paint),
      kindWord(credential.kind),
      plain(credential.identity),
      ...(isBounded ? [credential.bounded_locally === true ? 'locally' : ''] : []),
    ])
    return table([heading, ...rows])
  })
  return 'done'
}

export function describeCredential(credential: CredentialAnswer, paint: Paint): string {
  const { health, versions, rotate_after_days: days } = credential
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['kind', kindWord(credential.kind)],
    ['upstream', plain(credential.upstream)],
    ['identity', plain(credential.identity)],
    ['key', credential.key_id === undefined ? undefined : plain(credential.key_id)],
    ['draws on', credential.source === undefined ? undefined : plain(credential.source)],
    ['scopes', credential.scopes?.map(plain).join(' ')],
    ['state', stateWord(credential.state, paint)],
    ['health', `${healthWord(health.status, paint)} since ${plain(health.since)}`],
    ['reason', health.reason === undefined ? undefined : plain(health.reason)],
    ...(health.history ?? []).map(
      ({ status, since, reason = '' }) =>
        ['before', `${healthWord(status, paint)} since ${plain(since)}  ${plain(reason)}`.trimEnd()] as const,
    ),
    ['rotation', credential.rotation === undefined ? undefined : stepWords(credential.rotation)],
    ['boundaries', boundaryWords(credential)],
    ['rotates', days === undefined ? undefined : `by itself after ${counted(days, 'day')}`],
    ['expires', credential.expires_at === undefined ? undefined : plain(credential.expires_at)],
    ['enrolled', plain(credential.created_at)],
    ['changed', plain(credential.updated_at)],
  ]
  const rows = facts.flatMap(([name, value]) => (value === undefined ? [] : [[`  ${name}`, value]]))
  return `${paint.bold(plain(credential.name))}\n${table(rows)}\n${versionTable(versions, paint)}`
}

/** How its boundaries are put on, where that is not by the exchange of a token of the granted scopes. */
function boundaryWords(credential: CredentialAnswer): string | undefined {
  const { boundary_source: source, intermediary_refused_at: refusedAt } = credential
  const proof = refusedAt === undefined ? 'accepted unproved' : `proved ${plain(refusedAt)}`
  const words = [
    ...(credential.bounded_locally === true ? [`sealed locally, ${proof}`] : []),
    ...(source === undefined ? [] : [`from ${plain(source)}`]),
  ]
  return words.length === 0 ? undefined : words.join('; ')
}

function healthWord(status: string, { good, bad, dim }: Paint): string {
  switch (status) {
    case 'healthy':
      return good(status)
    case 'broken':
      return bad(status)
    default:
      return dim(plain(status))
  }
}

function kindWord(kind: string): string {
  return plain(kind).replaceAll('_', ' ')
}
