import { askAndPrint, changeOptions, readOptions, connect } from '../admin-client.ts'
import { yesOption, type Call, type Command, type ArgumentSpec } from '../command.ts'
import { confirm } from '../terminal.ts'
import type { Exit } from '../fault.ts'
import { type Paint, noteSwitchedOff, printAnswer, counted, plain, table } from '../output.ts'
import * as z from 'zod/mini'
import { blockedCallerSchema, blockedCallersSchema, stopSchema } from '../../http/document-schemas.ts'
import { anyAnswer } from '../admin-answers.ts'

export const serviceCommands: readonly Command[] = [
  {
    name: 'service status',
    summary: 'show the broker status: version, clock, store, key ring, policy, blocks, settings',
    details: 'Of the instance that answers. Status 1 when something is at fault or the service is stopped.',
    options: readOptions,
    examples: ['downscope service status', 'downscope service status --json'],
    run: showStatus,
  },
  {
    name: 'service stop',
    summary: 'stop issuing tokens, on every instance within 10 seconds',
    details:
      'The instance that answers stops at once, every other that can read the store within 10 seconds. Tokens already ' +
      'handed out live until they expire. The admin API goes on. It asks first.',
    options: [yesOption, ...changeOptions],
    examples: ['downscope service stop', 'downscope service stop --yes'],
    run: async (call) => {
      const client = await connect(call)
      await confirm(call, `Stop ${client.url} for everybody?`)
      const answer = await client.ask({ method: 'POST', path: 'service:stop', answer: stopSchema })
      printAnswer(call, answer.document, ({ bad }) => `${bad('stopped')}: ${stopWords(answer.value)}\n`)
      const { everywhere_by: by, stopped } = answer.value
      if (stopped !== undefined) noteSwitchedOff(call, { since: stopped.since, everywhereBy: by })
      return 'done'
    },
  },
  {
    name: 'service resume',
    summary: 'resume issuing tokens',
    options: changeOptions,
    examples: ['downscope service resume'],
    run: async (call) => {
      const resume = { method: 'POST', path: 'service:resume', answer: stopSchema } as const
      await askAndPrint(
        call,
        resume,
        (_, { good }) =>
          `${good('resumed')}: this instance serves, and every other that can read the store within 10 seconds\n`,
      )
      return 'done'
    },
  },
]

async function showStatus(call: Call): Promise<Exit> {
  const service = await askAndPrint(call, { method: 'GET', path: 'service', answer: serviceAnswer }, describe)
  const { store, key_ring: ring, policy, stopped } = service
  const isWell = stopped === undefined && [store, ring, policy].every(({ status }) => status === 'ok')
  return isWell ? 'done' : 'refused'
}

function describe(service: ServiceAnswer, paint: Paint): string {
  const { policy, settings, stopped, blocked_callers: blocked } = service
  const facts = [
    ['issuer', plain(service.issuer)],
    ['version', plain(service.version)],
    ['time', plain(service.time)],
    ['tokens', stopped === undefined ? paint.good('served') : paint.bad(`stopped ${stopWords(service)}`)],
    ['callers', blocked === 0 ? 'none is revoked' : paint.odd(`${counted(blocked, 'caller')} revoked`)],
    ['store', partWords(service.store, paint)],
    ['key ring', partWords(service.key_ring, paint)],
    [
      'policy',
      `${partWords(policy, paint)}${policy.origin === undefined ? '' : `, ${plain(policy.origin)}`}`,
    ],
    ...(service.upstreams ?? []).map((one) => [
      'upstream',
      `${plain(one.name)} ${partWords(one, paint)}, ${one.status === 'ok' ? 'answered' : 'since'} ${plain(one.at)}`,
    ]),
  ]
  const rows = Object.entries(settings).map(([name, value]) => [`  ${plain(name)}`, plain(value)])
  return `${table(facts)}\n${paint.bold('Settings')}\n${table(rows)}`
}

function partWords({ status, reason }: ServiceAnswer['store'], { good, bad }: Paint): string {
  if (status === 'ok') return good('ok')
  return `${bad(plain(status))}${reason === undefined ? '' : `: ${plain(reason)}`}`
}

const byHand = z.object({ by: z.string(), since: z.string() })
const part = z.object({ status: z.string(), reason: z.optional(z.string()) })

export const serviceAnswer = z.object({
  version: z.string(),
  time: z.string(),
  issuer: z.string(),
  stopped: z.optional(byHand),
  blocked_callers: z.number(),
  store: part,
  key_ring: part,
  policy: z.object({
    status: z.string(),
    reason: z.optional(z.string()),
    revision: z.optional(z.string()),
    origin: z.optional(z.string()),
    loaded_at: z.optional(z.string()),
  }),
  upstreams: z.optional(z.array(z.object({ ...part.shape, name: z.string(), at: z.string() }))),
  settings: z.record(z.string(), z.string()),
})

export type ServiceAnswer = z.infer<typeof serviceAnswer>

export function stopWords({ stopped }: Pick<ServiceAnswer, 'stopped'>): string {
  return stopped === undefined ? 'nobody gets a token' : plain(`by ${stopped.by}, ${stopped.since}`)
}

const who: readonly ArgumentSpec[] = [
  { name: 'ISSUER', summary: 'the exact iss of its JWTs' },
  { name: 'SUBJECT', summary: 'the exact sub of its JWTs' },
]

export const callerCommands: readonly Command[] = [
  {
    name: 'callers list',
    summary: 'list the blocked callers',
    options: readOptions,
    examples: ['downscope callers list'],
    run: async (call) => {
      const list = { method: 'GET', path: 'callers', answer: blockedCallersSchema } as const
      await askAndPrint(call, list, ({ callers }, { bold }) => {
        if (callers.length === 0) return 'No caller is revoked.\n'
        const heading = ['ISSUER', 'SUBJECT', 'BY', 'SINCE'].map((word) => bold(word))
        const rows = callers.map(({ issuer, subject, by, since }) => [issuer, subject, by, since].map(plain))
        return table([heading, ...rows])
      })
      return 'done'
    },
  },
  {
    name: 'callers revoke',
    summary: 'block one caller, whatever the policy says',
    details:
      'The instance that answers stops at once, every other that can read the store within 10 seconds; as an administrator it is locked out as well. Who may be an admin is revoked by admins alone. It asks first.',
    arguments: who,
    options: [yesOption, ...changeOptions],
    examples: [
      'downscope callers revoke billing billing',
      'downscope callers revoke https://cluster.acme.example system:serviceaccount:billing:exporter --yes',
    ],
    run: async (call) => {
      const caller = callerOf(call)
      const client = await connect(call)
      await confirm(call, `Give ${plain(caller.subject)} of ${plain(caller.issuer)} nothing more?`)
      const answer = await client.ask({
        method: 'POST',
        path: 'callers:revoke',
        body: caller,
        answer: blockedCallerSchema,
      })
      printAnswer(
        call,
        answer.document,
        ({ good }) => `${good('revoked')} ${plain(caller.subject)}; tokens it has live until they expire\n`,
      )
      return 'done'
    },
  },
  {
    name: 'callers restore',
    summary: 'unblock a caller',
    arguments: who,
    options: changeOptions,
    examples: ['downscope callers restore billing billing'],
    run: async (call) => {
      const caller = callerOf(call)
      const client = await connect(call)
      await client.ask({ method: 'POST', path: 'callers:restore', body: caller, answer: anyAnswer })
      printAnswer(
        call,
        { ...caller, restored: true },
        ({ good }) => `${good('restored')} ${plain(caller.subject)}\n`,
      )
      return 'done'
    },
  },
]

function callerOf(call: Call) {
  return { issuer: call.argument('ISSUER'), subject: call.argument('SUBJECT') }
}
