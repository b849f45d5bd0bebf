import { nodeSha256 } from '../../adapters/system/node-crypto.ts'
import { isBrokerError } from '../../domain/broker-error.ts'
import { outlineOf, requireNext } from '../../maintenance/export-segment.ts'
import { importStopper, type ImportOptions } from '../../maintenance/transfer-store.ts'
import { collectionOf, comparableText, type CarriedDocument } from '../../records/collections.ts'
import { adminOptions } from '../admin-client.ts'
import type { Call, Command, OptionSpec } from '../command.ts'
import { type ExportedSegment, readExport, writeExport } from '../export-file.ts'
import { createFault, type Exit } from '../fault.ts'
import { counted, note, plain, printAnswer, warn, withProgress, type Progress } from '../output.ts'
import { refuseExisting } from '../files.ts'
import { dryRunOption, showNothingDone } from '../request-shown.ts'
import { openStorePlace, type StoreAtPlace } from '../store-place.ts'

const rewrapOption: OptionSpec = {
  name: '--rewrap',
  summary: 'seal everything anew under the first key of the key ring, which must hold the old keys too',
}
const importOptions: readonly OptionSpec[] = [
  rewrapOption,
  { name: '--policy', summary: 'let the policy of the export come into force over the one that is there' },
  { name: '--resume', summary: 'serve tokens again afterwards, unless the service was stopped before' },
]
const fileArgument = { name: 'FILE', summary: 'the export', offer: 'file' } as const

export const storeCommands: readonly Command[] = [
  {
    name: 'store export',
    summary: 'write all that the store holds into a file, sealed as it is',
    details:
      "Of the store that the broker's own settings in the environment name, else of the broker at --url (role admin). " +
      'Secrets stay sealed: without the key ring the file opens nothing. Interrupted, it goes on where it stopped. ' +
      'Cached tokens, leases, connections and the audit trail are not in it (docs/backup.md).',
    arguments: [fileArgument],
    options: [rewrapOption, dryRunOption, ...adminOptions],
    examples: [
      'downscope store export backup.jsonl',
      'downscope store export backup.jsonl --url https://tokens.acme.example',
    ],
    run: exportStore,
  },
  {
    name: 'store import',
    summary: 'take an export into a store; what was switched off in either stays off',
    details:
      'A file that is cut off, edited or of another key ring is refused before anything is written. The service is ' +
      'stopped first and stays stopped without --resume. It may be interrupted and repeated. Status 1 when the file is ' +
      'refused or a document is not as it should be.',
    arguments: [fileArgument],
    options: [...importOptions, dryRunOption, ...adminOptions],
    examples: ['downscope store import backup.jsonl', 'downscope store import backup.jsonl --resume'],
    run: importStore,
  },
  {
    name: 'store copy',
    summary: 'carry a store over into another one',
    details:
      'FROM and TO are URLs of stores (sqlite:PATH, firestore://PROJECT/DATABASE) or of brokers. The service of FROM ' +
      'must be stopped: what it went on writing would be lost.',
    arguments: [
      { name: 'FROM', summary: 'the URL of a store or of a broker' },
      { name: 'TO', summary: 'the same, for where it goes' },
    ],
    options: [...importOptions, dryRunOption, ...adminOptions],
    examples: ['downscope store copy sqlite:downscope.db firestore://acme-prod/downscope --resume'],
    run: copyStore,
  },
]

async function exportStore(call: Call): Promise<Exit> {
  const file = call.argument('FILE')
  const tally = createTally()
  const leftOut: string[] = []
  if (call.has('--dry-run')) {
    refuseExisting(file)
    return at(call, { isSource: true }, (place) =>
      showTaken(call, { file }, segmentsFrom(place, call.has('--rewrap')), `into ${file}`),
    )
  }
  await at(call, { isSource: true }, (place) =>
    withProgress(call, 'Exporting', (progress) =>
      refusing(file, () =>
        writeExport(file, place, {
          isRewrapped: call.has('--rewrap'),
          onSegment: ({ outline }) => {
            for (const document of outline.documents) tally.add(document.key, digestOf(document))
            leftOut.push(...outline.leftOut)
            progress.say(`Exporting: ${counted(tally.count(), 'document')} so far`)
          },
        }),
      ),
    ),
  )
  printAnswer(
    call,
    { file, ...tally.document(), left_out: leftOut },
    ({ good }) => `${good('exported')} ${counted(tally.count(), 'document')} into ${file}\n${tally.lines()}`,
  )
  for (const key of leftOut) warn(call.terminal, `${plain(key)} cannot be read, and is not in the export`)
  return leftOut.length === 0 ? 'done' : 'refused'
}

async function importStore(call: Call): Promise<Exit> {
  const file = call.argument('FILE')
  return at(call, { isSource: false }, (place) =>
    refusing(file, () => takeIn(call, { place, segments: () => readExport(file) })),
  )
}

async function copyStore(call: Call): Promise<Exit> {
  const [from, to] = [call.argument('FROM'), call.argument('TO')]
  if (from === to) throw createFault('usage', 'FROM and TO are the same store')
  return at(call, { url: from, isSource: true }, (source) =>
    at(call, { url: to, isSource: false }, async (place) => {
      if ((await source.stoppedBy()) === undefined)
        throw createFault('refused', `the service of ${plain(from)} is not stopped`, {
          hints: ['What it goes on writing would be lost. Stop it first: downscope service stop'],
        })
      return refusing(from, () =>
        takeIn(call, { place, segments: () => segmentsFrom(source, call.has('--rewrap')) }),
      )
    }),
  )
}

async function at<T>(
  call: Call,
  which: Parameters<typeof openStorePlace>[1],
  work: (place: StoreAtPlace) => Promise<T>,
): Promise<T> {
  const place = await openStorePlace(call, which)
  try {
    return await work(place)
  } finally {
    await place.close()
  }
}

async function* segmentsFrom(
  source: StoreAtPlace,
  isRewrapped: boolean,
): AsyncGenerator<ExportedSegment, void> {
  let last: ExportedSegment | undefined
  do {
    const next = last?.outline.next
    const page = last === undefined || next === undefined ? {} : { id: last.outline.id, after: next }
    const text = await source.exportSegment({ ...page, isRewrapped })
    const outline = outlineOf(text)
    requireNext(last?.outline, outline)
    last = { text, outline }
    yield last
  } while (last.outline.next !== undefined)
}

/** `--dry-run`: what would be taken where. */
async function showTaken(
  call: Call,
  document: object,
  segments: AsyncGenerator<ExportedSegment, void>,
  where: string,
): Promise<Exit> {
  const tally = createTally()
  for await (const { outline } of segments)
    for (const one of outline.documents) tally.add(one.key, digestOf(one))
  const words = `${counted(tally.count(), 'document')} would be written ${where}`
  return showNothingDone(call, { ...document, ...tally.document() }, words)
}

interface Incoming {
  readonly place: StoreAtPlace
  readonly segments: () => AsyncGenerator<ExportedSegment, void>
}

/** Looks at every segment before the first one is written: what is refused is refused whole. */
async function takeIn(call: Call, { place, segments }: Incoming): Promise<Exit> {
  const how = { isPolicyTaken: call.has('--policy'), isRewrapped: call.has('--rewrap') }
  if (call.has('--dry-run')) {
    for await (const { text } of segments()) await place.importSegment(text, { ...how, isCheck: true })
    return showTaken(
      call,
      { store: place.name },
      segments(),
      `into ${plain(place.name)}, whose service would be stopped`,
    )
  }
  const stoppedBy = await place.stoppedBy()
  const tally = createTally()
  const { isVouchedFor, unlike, stricter } = await withProgress(call, 'Checking', async (progress) => {
    for await (const { text } of segments()) await place.importSegment(text, { ...how, isCheck: true })
    return write({ place, segments }, { ...how, isCheck: false }, { tally, progress })
  })
  const isResumed = call.has('--resume') && (stoppedBy === undefined || stoppedBy === importStopper)
  if (isResumed) await place.resume()
  printAnswer(
    call,
    { ...tally.document(), vouched_for: isVouchedFor, stopped: !isResumed, stricter, unlike },
    ({ good }) =>
      `${good('imported')} ${counted(tally.count(), 'document')} into ${plain(place.name)}\n${tally.lines()}`,
  )
  if (!isVouchedFor)
    warn(call.terminal, 'the export has no MAC: only credentials that were not there were taken, disabled')
  for (const key of unlike) warn(call.terminal, `${plain(key)} is not in the store as it was written`)
  if (stricter > 0)
    note(call, ({ dim }) =>
      dim(`${counted(stricter, 'document')} kept as the store had it, or as the stricter of both.`),
    )
  if (!isResumed)
    note(call, ({ odd }) => `${odd('stopped')}: no token is served until downscope service resume`)
  return unlike.length === 0 ? 'done' : 'refused'
}

interface Written {
  readonly isVouchedFor: boolean
  /** Keys of documents that were created and are not there as they were in the export. */
  readonly unlike: readonly string[]
  readonly stricter: number
}

async function write(
  { place, segments }: Incoming,
  how: ImportOptions,
  { tally, progress }: { readonly tally: Tally; readonly progress: Progress },
): Promise<Written> {
  const unlike: string[] = []
  let stricter = 0
  let isVouchedFor = true
  for await (const { text, outline } of segments()) {
    const report = await place.importSegment(text, how)
    isVouchedFor &&= report.isVouchedFor
    const expected = new Map(outline.documents.map((document) => [document.key, document]))
    for (const { key, outcome, digest } of report.documents) {
      const document = expected.get(key)
      const isAsExported = document !== undefined && digestOf(document) === digest
      // Sealed anew, or taken disabled, it is another one by right.
      if (outcome === 'created' && report.isVouchedFor && !how.isRewrapped && !isAsExported) unlike.push(key)
      if (outcome !== 'created' && !isAsExported) stricter += 1
      if (digest !== undefined) tally.add(key, digest)
    }
    progress.say(`Importing: ${counted(tally.count(), 'document')} so far`)
  }
  return { isVouchedFor, unlike, stricter }
}

function digestOf(document: CarriedDocument): string {
  return nodeSha256(comparableText(document))
}

interface Tally {
  readonly add: (key: string, digest: string) => void
  readonly count: () => number
  readonly document: () => { readonly collections: Readonly<Record<string, Counted>> }
  readonly lines: () => string
}

interface Counted {
  readonly documents: number
  /** Over the digests of the documents, in the order of their keys. */
  readonly digest: string
}

function createTally(): Tally {
  const sums = new Map<string, Counted>()
  return {
    add: (key, digest) => {
      const name = collectionOf(key) ?? ''
      const before = sums.get(name) ?? { documents: 0, digest: '' }
      sums.set(name, { documents: before.documents + 1, digest: nodeSha256(before.digest + digest) })
    },
    count: () => [...sums.values()].reduce((sum, { documents }) => sum + documents, 0),
    document: () => ({ collections: Object.fromEntries(sums) }),
    lines: () =>
      [...sums].map(([name, { documents, digest }]) => `  ${name}  ${documents}  ${digest}\n`).join(''),
  }
}

/** What is wrong with an export, with the name it has here. */
async function refusing<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isBrokerError(error)) throw error
    throw createFault('refused', `${plain(name)}: ${error.reason}`, { code: error.code })
  }
}
