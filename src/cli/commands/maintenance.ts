import {
  maintenanceSchema,
  rewrapSchema,
  type MaintenanceDocument,
  type RewrapDocument,
} from '../../http/document-schemas.ts'
import { changeOptions, connect, type AdminClient } from '../admin-client.ts'
import type { Call, Command } from '../command.ts'
import type { Exit } from '../fault.ts'
import {
  type Paint,
  printAnswer,
  withProgress,
  counted,
  plain,
  note,
  warn,
  type Progress,
} from '../output.ts'

export const maintenanceCommands: readonly Command[] = [
  {
    name: 'maintenance run',
    summary: 'rotate, remove, probe and delete what is due, now',
    details:
      'What a scheduler does from time to time (docs/rotation.md). Running it twice at once does no harm. Status 1 ' +
      'when a part of it failed; the next run tries that again.',
    options: changeOptions,
    examples: ['downscope maintenance run'],
    run,
  },
]

async function run(call: Call): Promise<Exit> {
  const client = await connect(call)
  const answer = await withProgress(call, 'The broker runs its maintenance', () =>
    client.ask({ method: 'POST', path: 'maintenance:run', answer: maintenanceSchema }),
  )
  printAnswer(call, answer.document, (paint) => describe(answer.value, paint))
  return answer.value.faults.length === 0 ? 'done' : 'refused'
}

function describe(report: MaintenanceDocument, { good, bad, dim }: Paint): string {
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

export const rewrapCommands: readonly Command[] = [
  {
    name: 'keys rewrap',
    summary: 'seal everything in the store again, under the first key of the key ring',
    details:
      'After a new key was put in front (docs/key-ring.md). It goes page by page, may be interrupted at any time and ' +
      'begun again, and says at the end whether an old key is still needed. Status 1 when a record could not be rewrapped.',
    options: changeOptions,
    examples: ['downscope keys rewrap', 'downscope keys rewrap --json'],
    run: rewrap,
  },
]

/** What all pages together came to. */
interface Rewrapped {
  readonly sealingKey: string
  readonly rewrapped: number
  readonly already: number
  readonly passing: number
  readonly failed: RewrapDocument['failed']
  /** By their ids, those that pages sealed under included. */
  readonly inUse: ReadonlyMap<string, KeyInUse>
  /** Whether each page was sealed under the same key: else an instance has other settings. */
  readonly isOneKey: boolean
}

async function rewrap(call: Call): Promise<Exit> {
  const client = await connect(call)
  const sum = await withProgress(call, 'Rewrapping', (progress) => rewrapAll(client, progress))
  const { sealingKey, rewrapped, already, passing, failed, isOneKey } = sum
  const stillInUse = othersInUse(sum)
  const document = { sealing_key: sealingKey, rewrapped, already, passing, failed, still_in_use: stillInUse }
  printAnswer(call, document, (paint) => describeRewrap(sum, paint))
  if (!isOneKey)
    warn(
      call.terminal,
      'instances seal under different keys: deploy the new settings everywhere, then run it again',
    )
  const isWhole = failed.length === 0 && isOneKey
  note(call, ({ dim }) => dim(isWhole ? advice(stillInUse) : keepAll))
  return isWhole ? 'done' : 'refused'
}

// Which keys a record is sealed under that cannot be read, nobody knows.
const keepAll = 'Take no key out of the ring until a run ends with status 0.'

function advice(stillInUse: readonly KeyInUse[]): string {
  if (stillInUse.length === 0)
    return 'Nothing is sealed under another key any more: old ones can be taken out of the ring.'
  if (stillInUse.every(({ until }) => until !== undefined))
    return 'Only tokens are sealed under another key: without it they are got anew.'
  return 'Keep these keys in the ring until nothing is sealed under them.'
}

async function rewrapAll(client: AdminClient, progress: Progress): Promise<Rewrapped> {
  let sum: Rewrapped | undefined
  let after: string | undefined
  do {
    const query: string = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
    const { value } = await client.ask({ method: 'POST', path: `keys:rewrap${query}`, answer: rewrapSchema })
    sum = add(sum, value)
    progress.say(`Rewrapping: ${counted(sum.rewrapped, 'record')} so far, ${sum.already} already were`)
    after = value.after
  } while (after !== undefined)
  return sum
}

function add(sum: Rewrapped | undefined, page: RewrapDocument): Rewrapped {
  const inUse = new Map(sum?.inUse)
  // Where another page is sealed under another key, this one's is an old key too.
  const own = { key_id: page.sealing_key, records: page.rewrapped + page.already }
  for (const use of [own, ...page.still_in_use])
    if (use.records > 0) inUse.set(use.key_id, addUse(inUse.get(use.key_id), use))
  return {
    sealingKey: page.sealing_key,
    rewrapped: (sum?.rewrapped ?? 0) + page.rewrapped,
    already: (sum?.already ?? 0) + page.already,
    passing: (sum?.passing ?? 0) + page.passing,
    failed: [...(sum?.failed ?? []), ...page.failed],
    inUse,
    isOneKey: sum === undefined || (sum.isOneKey && sum.sealingKey === page.sealing_key),
  }
}

function othersInUse({ inUse, sealingKey }: Rewrapped): readonly KeyInUse[] {
  return [...inUse.values()].filter(({ key_id: id }) => id !== sealingKey)
}

/** Until the later of the two; for ever, if one of them is. */
function addUse(sum: KeyInUse | undefined, { key_id, records, until }: KeyInUse): KeyInUse {
  if (sum === undefined) return { key_id, records, until }
  const all = sum.records + records
  if (sum.until === undefined || until === undefined) return { key_id, records: all }
  // Both are in UTC and of one form: the later one is also the later text.
  return { key_id, records: all, until: sum.until > until ? sum.until : until }
}

type KeyInUse = RewrapDocument['still_in_use'][number]

function describeRewrap(sum: Rewrapped, { good, bad, odd }: Paint): string {
  const { sealingKey, rewrapped, already, passing, failed } = sum
  const lines = [
    `${good(`${counted(rewrapped, 'record')} rewrapped`)} under ${plain(sealingKey)}; ${already} already were`,
    ...(passing === 0 ? [] : [`${counted(passing, 'token')} left: they go by themselves within the hour`]),
    ...failed.map(({ key, reason }) => `${bad('failed')} ${plain(key)}: ${plain(reason)}`),
    ...othersInUse(sum).map(
      ({ key_id: key, records, until }) =>
        `${odd('still in use')}: ${plain(key)}, by ${counted(records, 'record')}${until === undefined ? '' : `, until ${plain(until)}`}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}
