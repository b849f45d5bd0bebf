import * as z from 'zod/mini'
import { parseNothing } from '../admin-answers.ts'
import { changeOptions, readOptions, connect } from '../admin-client.ts'
import { yesOption, type ArgumentSpec, type Call, type Command } from '../command.ts'
import { confirm } from '../terminal.ts'
import { printAnswer, plain, table } from '../output.ts'

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
      const client = await connect(call)
      const answer = await client.ask({ method: 'GET', path: 'callers', parse: parseCallers })
      const { callers } = answer.value
      printAnswer(call, answer.document, ({ bold }) => {
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
        parse: parseCaller,
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
      await client.ask({ method: 'POST', path: 'callers:restore', body: caller, parse: parseNothing })
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

const callerAnswer = z.object({ issuer: z.string(), subject: z.string(), by: z.string(), since: z.string() })

function parseCaller(document: unknown): z.infer<typeof callerAnswer> {
  return callerAnswer.parse(document)
}

function parseCallers(document: unknown): { readonly callers: readonly z.infer<typeof callerAnswer>[] } {
  return z.object({ callers: z.array(callerAnswer) }).parse(document)
}
