import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { metrics, prometheusName, type MetricDescription } from '../../src/domain/metrics.ts'

// Writes the table of metrics into docs/observability.md, between its two markers. `--check` writes nothing and fails
// when the table there is not the one in src/domain/metrics.ts.

const begin = '<!-- metrics:begin -->'
const end = '<!-- metrics:end -->'

/** The table in Markdown: both names, labels with their values, and what it means. */
export function renderMetrics(): string {
  const rows = Object.entries<MetricDescription>(metrics).map(([name, { kind, labels, means }]) => [
    `\`${name}\`<br>\`${prometheusName(name)}\``,
    kind,
    labelsText(labels),
    means,
  ])
  return [['Name, and in Prometheus', 'Kind', 'Labels', 'Means'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function labelsText(labels: MetricDescription['labels']): string {
  const texts = Object.entries(labels).map(([label, values]) => {
    const shown = typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', ')
    return `\`${label}\`: ${shown}`
  })
  return texts.length === 0 ? 'none' : texts.join('<br>')
}

/** `document` with the table between its markers; `undefined` unless each marker is there once, in order. */
export function replaceMetrics(document: string): string | undefined {
  const [before, inside, ...extra] = document.split(begin)
  const [, after, ...more] = inside?.split(end) ?? []
  if (before === undefined || after === undefined || extra.length > 0 || more.length > 0) return undefined
  return `${before}${begin}\n\n${renderMetrics()}\n\n${end}${after}`
}

function main(): void {
  const path = fileURLToPath(new URL('../../docs/observability.md', import.meta.url))
  const replaced = replaceMetrics(readFileSync(path, 'utf8'))
  if (replaced === undefined)
    throw new Error(`docs/observability.md does not hold ${begin} and ${end} once each`)
  writeFileSync(path, replaced)
  process.stdout.write(`wrote ${Object.keys(metrics).length} metrics into docs/observability.md\n`)
}

if (import.meta.main) main()
