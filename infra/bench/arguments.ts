import { parseArgs } from 'node:util'
import { coldStartIds, type ColdStartId } from './cold-start.ts'
import { contenderIds, type ContenderId } from './contenders.ts'

/** `pages` are those of the console, and of the audit trail by the API, of a store that is full. */
export type RowId = ContenderId | ColdStartId | 'pages'

export interface BenchArguments {
  /** Counted rounds; a warm-up round comes before them. */
  readonly rounds: number
  /** How long one server is under load at one number of connections, in one round. */
  readonly windowMs: number
  /** Whether a missed target makes the run fail. */
  readonly enforcesTargets: boolean
  /** Whether the tables go into docs/performance.md. */
  readonly writesDocs: boolean
  readonly jsonFile?: string
  /** Only these, and the floors that they are compared with; absent, all. */
  readonly only?: ReadonlySet<RowId>
  /** Instead of the rounds: profile one row (of `only`, else the cached hit), and leave the profile in this folder. */
  readonly profileFolder?: string
}

const rowNames: readonly RowId[] = [...contenderIds, ...coldStartIds, 'pages']

export const usage = `npm run bench -- [options]
  --quick            short windows, to try things out: its digits mean little
  --rounds N         counted rounds, at least 5 (default 15)
  --seconds N        length of one window (default 0.4)
  --no-targets       print only: a missed target does not fail the run
  --docs             write the tables into docs/performance.md
  --json FILE        write every measurement to FILE
  --only NAME,NAME   only these rows and what they are compared with: ${rowNames.join(', ')}
  --cost             count what a million tokens cost, instead; with --docs into docs/cost.md, with --quick roughly
  --cpu-prof FOLDER  profile one row instead (--only NAME; default hit), and keep the .cpuprofile in FOLDER`

/** Fewer would not be worth a median. */
const roundsMin = 5

/** Reads the command line; throws an Error whose message may be shown. */
export function parseBenchArguments(argv: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'no-targets': { type: 'boolean', default: false },
      docs: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string' },
      'cpu-prof': { type: 'string' },
    },
  })
  const rounds = numberOf('--rounds', values.rounds ?? (values.quick ? '5' : '15'))
  const seconds = numberOf('--seconds', values.seconds ?? (values.quick ? '0.2' : '0.4'))
  if (!Number.isInteger(rounds) || rounds < roundsMin)
    throw new Error(`--rounds must be a whole number of at least ${roundsMin}`)
  if (seconds < 0.1 || seconds > 60) throw new Error('--seconds must be from 0.1 to 60')
  if (values.only !== undefined && values.docs) throw new Error('--docs needs every row: leave --only out')
  return {
    rounds,
    windowMs: seconds * 1000,
    enforcesTargets: !values['no-targets'],
    writesDocs: values.docs,
    ...(values.json === undefined ? {} : { jsonFile: fileOf('--json', values.json) }),
    ...(values.only === undefined ? {} : { only: rowsOf(values.only) }),
    ...(values['cpu-prof'] === undefined ? {} : { profileFolder: fileOf('--cpu-prof', values['cpu-prof']) }),
  }
}

function numberOf(option: string, text: string): number {
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new Error(`${option} must be a number`)
  return Number(text)
}

function fileOf(option: string, text: string): string {
  if (text === '') throw new Error(`${option} needs a path`)
  return text
}

function rowsOf(text: string): ReadonlySet<RowId> {
  return new Set(
    text.split(',').map((name) => {
      const known = rowNames.find((one) => one === name)
      if (known === undefined) throw new Error(`--only: no row is called ${JSON.stringify(name)}`)
      return known
    }),
  )
}
