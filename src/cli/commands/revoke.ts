import * as z from 'zod/mini'

import { parseNothing } from '../admin-answers.ts'
import { adminOptions, connect } from '../admin-client.ts'
import { yesOption, type Call, type Command, type OptionSpec } from '../command.ts'
import { confirm } from '../confirm.ts'
import { credentialPath, nameArgument } from '../credential-arguments.ts'
import type { Exit } from '../exit-code.ts'
import type { Paint } from '../paint.ts'
import { printAnswer } from '../print.ts'
import { withProgress } from '../progress.ts'
import { plain } from '../table.ts'

const options: readonly OptionSpec[] = [yesOption, ...adminOptions]

export const revokeCommands: readonly Command[] = [
  {
    name: 'credentials revoke',
    summary: 'revoke a credential permanently, in the broker and at its upstream',
    details:
      'Here first: every instance stops within 10 seconds, for tokens in its memory too. Then at the upstream, where ' +
      'it can be withdrawn; given again, it finishes what failed there, which is status 1. It asks first.',
    arguments: [nameArgument],
    options,
    examples: [
      'downscope credentials revoke reports-sa',
      'downscope credentials revoke reports-sa --yes --json',
    ],
    run: revoke,
  },
  {
    name: 'credentials destroy',
    summary: 'delete a credential and its secret from the broker permanently',
    details: 'The key itself lives on where it came from: delete it there too. It asks first.',
    arguments: [nameArgument],
    options,
    examples: ['downscope credentials destroy reports-sa', 'downscope credentials destroy reports-sa --yes'],
    run: destroy,
  },
]

async function revoke(call: Call): Promise<Exit> {
  const name = call.argument('NAME')
  const client = await connect(call)
  await confirm(call, `Revoke ${plain(name)} at ${client.url} and at its upstream, for good?`)
  const path = credentialPath(call, ':revoke')
  const answer = await withProgress(call, 'Revoking', () =>
    client.ask({ method: 'POST', path, parse: parseRevocation }),
  )
  printAnswer(call, answer.document, (paint) => describe(name, answer.value, paint))
  return answer.value.upstream === 'failed' ? 'refused' : 'done'
}

async function destroy(call: Call): Promise<Exit> {
  const name = call.argument('NAME')
  const client = await connect(call)
  await confirm(call, `Delete ${plain(name)} from ${client.url}, for good?`)
  await client.ask({ method: 'DELETE', path: credentialPath(call), parse: parseNothing })
  printAnswer(call, { name, destroyed: true }, ({ good }) => `${good('destroyed')} ${plain(name)}\n`)
  return 'done'
}

const revocationAnswer = z.object({ upstream: z.string(), detail: z.optional(z.string()) })

type RevocationAnswer = z.infer<typeof revocationAnswer>

function parseRevocation(document: unknown): RevocationAnswer {
  return revocationAnswer.parse(document)
}

function describe(name: string, { upstream, detail }: RevocationAnswer, { good, bad, odd }: Paint): string {
  const words: Readonly<Record<string, string>> = {
    done: good('done'),
    already_dead: good('it was dead already'),
    not_possible: odd('not possible'),
    failed: bad('failed, give the command again'),
  }
  const why = detail === undefined ? '' : `: ${plain(detail)}`
  return `${good('revoked')} ${plain(name)}\n  here      done\n  upstream  ${words[upstream] ?? plain(upstream)}${why}\n`
}
