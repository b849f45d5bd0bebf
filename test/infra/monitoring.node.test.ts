import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readRules, renderPolicies } from '../../infra/monitoring/cloud-monitoring.ts'
import { metrics, prometheusName, type MetricDescription } from '../../src/domain/metrics.ts'
import { readPage } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

const dashboard = readFileSync(join(repository, 'infra/monitoring/dashboard.json'), 'utf8')
const rules = readRules()
const queries = [
  ...rules.map(({ expr }) => expr),
  ...[...dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(([, text = '']) => String(JSON.parse(text))),
]

const known = new Map(
  Object.entries<MetricDescription>(metrics).flatMap(([name, description]) => {
    const shown = prometheusName(name)
    const names =
      description.kind === 'histogram'
        ? ['_bucket', '_count', '_sum'].map((end) => `${shown}${end}`)
        : [shown]
    return names.map((one) => [one, description.labels] as const)
  }),
)

/** What a query names that no broker has: metrics, labels, and values of closed sets. */
function faultsIn(query: string): readonly string[] {
  const faults: string[] = []
  for (const [, name = '', matchers = ''] of query.matchAll(/\b(downscope_\w+)(?:\{([^}]*)\})?/g)) {
    const labels = known.get(name)
    if (labels === undefined) faults.push(name)
    for (const [, label = '', value = ''] of matchers.matchAll(/(\w+)!?="([^"]*)"/g)) {
      const values = labels?.[label]
      if (values === undefined || (typeof values !== 'string' && !values.includes(value)))
        faults.push(`${name}{${label}="${value}"}`)
    }
  }
  const grouped = [...query.matchAll(/ by \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/, */))
  const labels = new Set([...known.values()].flatMap((of) => Object.keys(of)))
  return [...faults, ...grouped.filter((label) => label !== 'le' && !labels.has(label))]
}

describe('what watches the broker', () => {
  test('asks only for metrics, labels and values that there are', () => {
    expect(queries.length).toBeGreaterThan(25)
    expect(queries.flatMap(faultsIn)).toEqual([])
  })

  test.each([
    'downscope_request_total',
    'downscope_requests_total{reason="x"}',
    'downscope_requests_total{outcome="broken"}',
    'sum by (host) (downscope_requests_total)',
    'downscope_request_duration_seconds',
  ])('%s would be found', (query) => {
    expect(faultsIn(query)).not.toEqual([])
  })

  test('shows every metric on the dashboard', () => {
    const shown = Object.keys(metrics).filter((name) => !dashboard.includes(prometheusName(name)))

    expect(shown).toEqual([])
  })

  test('has one runbook for each alert, and its link leads there', () => {
    const headings = [...readPage('docs/runbooks.md').matchAll(/^## (Downscope\w+)$/gm)].map(
      ([, name]) => name,
    )

    expect(headings).toEqual(rules.map(({ alert }) => alert))
    for (const { alert, annotations } of rules)
      expect(annotations.runbook_url.endsWith(`#${alert.toLowerCase()}`)).toBe(true)
  })

  test('is the same in Cloud Monitoring as in Prometheus', () => {
    expect(readFileSync(join(repository, 'infra/monitoring/cloud-monitoring.json'), 'utf8')).toBe(
      renderPolicies(),
    )
  })
})
