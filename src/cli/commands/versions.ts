import { parseCredential, parseVersions } from '../admin-answers.ts'
import { adminOptions, connect, type AdminClient } from '../admin-client.ts'
import { yesOption, type Call, type Command } from '../command.ts'
import { confirm } from '../confirm.ts'
import { credentialPath, nameArgument, versionArgument, versionPath } from '../credential-arguments.ts'
import { printAnswer } from '../print.ts'
import { plain } from '../table.ts'
import { versionTable } from '../version-table.ts'

export const versionCommands: readonly Command[] = [
  {
    name: 'versions list',
    summary: 'list the versions of a credential, without their secrets',
    arguments: [nameArgument],
    options: adminOptions,
    examples: ['downscope versions list reports-sa', 'downscope versions list reports-sa --json'],
    run: async (call) => {
      const client = await connect(call)
      const path = credentialPath(call, '/versions')
      const answer = await client.ask({ method: 'GET', path, parse: parseVersions })
      printAnswer(call, answer.document, (paint) => versionTable(answer.value.versions, paint))
      return 'done'
    },
  },
  {
    name: 'versions disable',
    summary: 'disable one version of a credential and its cached tokens',
    arguments: [nameArgument, versionArgument],
    options: adminOptions,
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
    options: [yesOption, ...adminOptions],
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
  return client.ask({ method: 'POST', path: versionPath(call, `:${verb}`), parse: parseCredential })
}
