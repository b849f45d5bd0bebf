import { expect, test } from 'vitest'
import { renderMetrics, replaceMetrics } from '../../infra/docs/metrics-table.ts'
import { metrics, prometheusName } from '../../src/domain/metrics.ts'
import { readPage } from '../support/guides.ts'

const page = readPage('docs/observability.md')

test('the table of metrics is the one of the code', () => {
  const squeezed = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-+/g, '-')

  expect(squeezed(replaceMetrics(page) ?? '')).toBe(squeezed(page))
  expect(renderMetrics().split('\n')).toHaveLength(Object.keys(metrics).length + 2)
  expect(replaceMetrics('a page without markers')).toBeUndefined()
})

test('names are as Prometheus has them', () => {
  expect(prometheusName('downscope.requests')).toBe('downscope_requests_total')
  expect(prometheusName('downscope.request.duration')).toBe('downscope_request_duration_seconds')
  expect(prometheusName('downscope.policy.faults')).toBe('downscope_policy_faults')
})
