import type { RequestsPerToken } from './firestore-requests.ts'
import type { LongPolicyFigures } from './long-policy.ts'
import type { StartSummary, Summary } from './targets.ts'

const nameWidth = 38
/** A server that had less of its core than this was held back by the load or by other processes. */
const busyMin = 0.85

/** The table of the rounds: one block for each number of connections. */
export function loadTable(summaries: readonly Summary[]): readonly string[] {
  const counts = [...new Set(summaries.map(({ connections }) => connections))]
  return counts.flatMap((connections) => [
    '',
    row([
      connections === 1 ? '1 connection' : `${connections} connections`,
      'req/s',
      'to floor',
      'CPU µs/req',
      'to floor',
      'core busy',
      '',
    ]),
    ...summaries.filter((summary) => summary.connections === connections).map(summaryRow),
  ])
}

/** The table of the starts. */
export function coldStartTable(starts: readonly StartSummary[]): readonly string[] {
  return [
    '',
    row(['process start to first token', 'ms', 'to bare']),
    ...starts.map(({ name, ms, toBare, missed }) =>
      row([name, ms.toFixed(0), toBare.toFixed(2), missed.length > 0 ? '  MISSED' : '']),
    ),
  ]
}

/** How many requests to Firestore a token cost, a row for each driver. */
export function firestoreTable(counts: readonly RequestsPerToken[]): readonly string[] {
  const columns = [...new Set(counts.map(({ connections }) => connections))]
  const names = [...new Set(counts.map(({ name }) => name))]
  return [
    '',
    row(['Firestore requests per token', ...columns.map((connections) => `${connections} conn.`)]),
    ...names.map((name) =>
      row([name, ...counts.filter((one) => one.name === name).map((one) => one.requestsPerToken.toFixed(2))]),
    ),
  ]
}

/** The line of the long policy. */
export function longPolicyLine(figures: LongPolicyFigures): string {
  const { rules, bytes, loadMs, longestStepMs, matchUs } = figures
  return (
    `a policy of ${rules.toLocaleString('en')} rules, ${(bytes / 1e6).toFixed(1)} MB: loaded in ${loadMs.toFixed(0)} ms of CPU ` +
    `(the longest step ${longestStepMs.toFixed(0)} ms), a rule found in ${matchUs.toFixed(1)} µs`
  )
}

/** Every missed target as a sentence. */
export function misses(summaries: readonly Summary[], starts: readonly StartSummary[]): readonly string[] {
  return [
    ...summaries.flatMap(({ name, connections, missed }) =>
      missed.map((sentence) => `${name}, ${connections} connection(s): ${sentence}`),
    ),
    ...starts.flatMap(({ name, missed }) => missed.map((sentence) => `${name}: ${sentence}`)),
  ]
}

function summaryRow(summary: Summary): string {
  const { name, connections, busy } = summary
  const isHeldBack = connections > 1 && busy !== undefined && busy < busyMin
  return row([
    name,
    Math.round(summary.requestsPerSecond).toLocaleString('en'),
    summary.requestsToFloor.toFixed(2),
    summary.cpuUsPerRequest?.toFixed(0) ?? '–',
    summary.cpuToFloor?.toFixed(2) ?? '–',
    busy === undefined ? '–' : `${Math.round(busy * 100)} %${isHeldBack ? ' (!)' : ''}`,
    summary.missed.length > 0 ? '  MISSED' : '',
  ])
}

function row([name = '', ...cells]: readonly string[]): string {
  return `${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(11)).join('')}`.trimEnd()
}
