import {
  credentialAnswer,
  anyAnswer,
  versionAnswer,
  type VersionAnswer,
  type RotationAnswer,
} from '../admin-answers.ts'
import { askAndPrint, changeOptions, readOptions, connect, type AdminClient } from '../admin-client.ts'
import {
  yesOption,
  type Call,
  type Command,
  type OptionSpec,
  credentialPath,
  nameArgument,
  versionArgument,
  versionPath,
} from '../command.ts'
import { confirm } from '../terminal.ts'
import { printAnswer, plain, type Paint, withProgress, table, counted } from '../output.ts'
import * as z from 'zod/mini'
import type { Exit } from '../fault.ts'

export const versionCommands: readonly Command[] = [
  {
    name: 'versions list',
    summary: 'list the versions of a credential, without their secrets',
    arguments: [nameArgument],
    options: readOptions,
    examples: ['downscope versions list reports-sa', 'downscope versions list reports-sa --json'],
    run: async (call) => {
      const answer = z.object({ versions: z.array(versionAnswer) })
      const list = { method: 'GET', path: credentialPath(call, '/versions'), answer } as const
      await askAndPrint(call, list, ({ versions }, paint) => versionTable(versions, paint))
      return 'done'
    },
  },
  {
    name: 'versions disable',
    summary: 'disable one version of a credential and its cached tokens',
    arguments: [nameArgument, versionArgument],
    options: changeOptions,
    examples: ['downscope versions disable reports-sa 6f1c0f4e-7a0b-4a6e-9d0e-0d3f5b0e7c11'],
    run: async (call) => {
      const answer = await actOnVersion(call, await connect(call), 'disable')
      printAnswer(
        call,
        answer.document,
        ({ good }) => `${good('disabled')} ${plain(call.argument('VERSION'))}\n`,
      )
      return 'done'
    },
  },
  {
    name: 'versions destroy',
    summary: 'delete the secret of a disabled version permanently',
    details: 'It asks first.',
    arguments: [nameArgument, versionArgument],
    options: [yesOption, ...changeOptions],
    examples: ['downscope versions destroy reports-sa 6f1c0f4e-7a0b-4a6e-9d0e-0d3f5b0e7c11 --yes'],
    run: async (call) => {
      const client = await connect(call)
      const version = plain(call.argument('VERSION'))
      await confirm(
        call,
        `Drop the secret of version ${version} of ${plain(call.argument('NAME'))}, for good?`,
      )
      const answer = await actOnVersion(call, client, 'destroy')
      printAnswer(call, answer.document, ({ good }) => `${good('destroyed')} ${version}\n`)
      return 'done'
    },
  },
]

function actOnVersion(call: Call, client: AdminClient, verb: 'disable' | 'destroy') {
  return client.ask({ method: 'POST', path: versionPath(call, `:${verb}`), answer: credentialAnswer })
}

const options: readonly OptionSpec[] = [yesOption, ...changeOptions]

export const revokeCommands: readonly Command[] = [
  {
    name: 'credentials revoke',
    summary: 'revoke a credential permanently, in the broker and at its upstream',
    details:
      'Here first: the instance that answers stops at once, every other that can read the store within 10 seconds, for tokens in memory too. Then at the upstream, where ' +
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
    client.ask({ method: 'POST', path, answer: revocationAnswer }),
  )
  printAnswer(call, answer.document, (paint) => describe(name, answer.value, paint))
  return answer.value.upstream === 'failed' ? 'refused' : 'done'
}

async function destroy(call: Call): Promise<Exit> {
  const name = call.argument('NAME')
  const client = await connect(call)
  await confirm(call, `Delete ${plain(name)} from ${client.url}, for good?`)
  await client.ask({ method: 'DELETE', path: credentialPath(call), answer: anyAnswer })
  printAnswer(call, { name, destroyed: true }, ({ good }) => `${good('destroyed')} ${plain(name)}\n`)
  return 'done'
}

const revocationAnswer = z.object({ upstream: z.string(), detail: z.optional(z.string()) })

type RevocationAnswer = z.infer<typeof revocationAnswer>

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

export function versionTable(versions: readonly VersionAnswer[], paint: Paint): string {
  const isAnyRemoved = versions.some(({ removal }) => removal !== undefined)
  const names = ['VERSION', 'STATE', 'SINCE', 'KEY', ...(isAnyRemoved ? ['REMOVED'] : [])]
  const heading = names.map((word) => paint.bold(word))
  const rows = versions.map(({ id, state, changed_at: since, key_id: key, removal }) => [
    plain(id),
    stateWord(state, paint),
    plain(since),
    plain(key ?? '-'),
    ...(isAnyRemoved ? [plain(removal?.due_at ?? '-')] : []),
  ])
  return table([heading, ...rows])
}

/** The state of a credential or of a version. */
export function stateWord(state: string, { good, bad, dim }: Paint): string {
  switch (state) {
    case 'enabled':
    case 'active':
      return good(state)
    case 'disabled':
    case 'revoked':
      return bad(state)
    default:
      return dim(plain(state))
  }
}

/** Where a rotation stands, in words. */
export function stepWords({ step, failures, reason, next_try_at: next }: RotationAnswer): string {
  const words: Readonly<Record<string, string>> = {
    count: 'looking at the keys there are',
    generate: 'making a key pair',
    upload: 'uploading its certificate',
    create: 'having the upstream make a key',
    prove: 'proving that the new one works',
    overlap: 'the former one stands by',
    disable: 'withdrawing the former one',
    abort: 'taking it back',
  }
  const trouble = reason === undefined ? '' : `: ${plain(reason)}`
  const again = failures === 0 ? '' : ` (tried ${counted(failures, 'time')}, again at ${plain(next)})`
  return `${words[step] ?? plain(step)}${trouble}${again}`
}
