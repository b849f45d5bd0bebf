import * as z from 'zod/mini'

import { adminOptions, connect } from '../admin-client.ts'
import type { Call, Command } from '../command.ts'
import type { Exit } from '../exit-code.ts'
import type { Paint } from '../paint.ts'
import { printAnswer } from '../print.ts'
import { withProgress } from '../progress.ts'
import { counted, plain } from '../table.ts'

export const maintenanceCommands: readonly Command[] = [
  {
    name: 'maintenance run',
    summary: 'rotate, remove, probe and delete what is due, now',
    details:
      'What a scheduler does from time to time (docs/rotation.md). Running it twice at once does no harm. Status 1 ' +
      'when a part of it failed; the next run tries that again.',
    options: adminOptions,
    examples: ['downscope maintenance run'],
    run,
  },
]

async function run(call: Call): Promise<Exit> {
  const client = await connect(call)
  const answer = await withProgress(call, 'The broker looks after what is due', () =>
    client.ask({ method: 'POST', path: 'maintenance:run', parse: parseReport }),
  )
  printAnswer(call, answer.document, (paint) => describe(answer.value, paint))
  return answer.value.faults.length === 0 ? 'done' : 'refused'
}

const reportAnswer = z.object({
  begun: z.array(z.string()),
  rotations: z.array(z.object({ credential: z.string(), step: z.string(), reason: z.optional(z.string()) })),
  removed: z.array(z.object({ credential: z.string(), version: z.string() })),
  probed: z.array(z.object({ credential: z.string(), works: z.boolean() })),
  swept: z.object({ deleted: z.number(), more_left: z.boolean() }),
  faults: z.array(z.object({ task: z.string(), credential: z.optional(z.string()), reason: z.string() })),
  more_left: z.boolean(),
})

type ReportAnswer = z.infer<typeof reportAnswer>

function parseReport(document: unknown): ReportAnswer {
  return reportAnswer.parse(document)
}

function describe(report: ReportAnswer, { good, bad, dim }: Paint): string {
  const lines = [
    ...report.begun.map((name) => `began to rotate ${plain(name)}`),
    ...report.rotations.map(
      ({ credential, step, reason }) =>
        `rotation of ${plain(credential)}: ${plain(step)}${reason === undefined ? '' : `, ${plain(reason)}`}`,
    ),
    ...report.removed.map(
      ({ credential, version }) => `removed version ${plain(version)} of ${plain(credential)}`,
    ),
    ...report.probed.map(
      ({ credential, works }) =>
        `probed ${plain(credential)}: ${works ? good('works') : bad('does not work')}`,
    ),
    `swept ${counted(report.swept.deleted, 'expired document')}`,
    ...report.faults.map(
      ({ task, credential, reason }) =>
        `${bad('failed')} ${plain(task)}${credential === undefined ? '' : ` of ${plain(credential)}`}: ${plain(reason)}`,
    ),
    ...(report.more_left ? [dim('There is more to do: run it again.')] : []),
  ]
  return `${lines.join('\n')}\n`
}
