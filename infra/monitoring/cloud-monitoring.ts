import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import * as z from 'zod/mini'

// Writes cloud-monitoring.json from alerts.yaml: the same rules as alert policies of Cloud Monitoring, which reads
// PromQL and, by Managed Service for Prometheus, has the metrics under the same names.

const rulesFile = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.optional(z.string()),
          labels: z.object({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.object({ summary: z.string(), runbook_url: z.string() }),
        }),
      ),
    }),
  ),
})

type AlertRule = z.infer<typeof rulesFile>['groups'][number]['rules'][number]

/** The rules of alerts.yaml. Throws where it is no file of rules. */
export function readRules(): readonly AlertRule[] {
  const text = readFileSync(join(import.meta.dirname, 'alerts.yaml'), 'utf8')
  return rulesFile.parse(load(text)).groups.flatMap(({ rules }) => rules)
}

/** One alert policy a rule. */
export function renderPolicies(): string {
  return `${JSON.stringify(readRules().map(policyOf), null, 2)}\n`
}

function policyOf({ alert, expr, for: lasts = '0s', labels, annotations }: AlertRule): object {
  return {
    displayName: alert,
    combiner: 'OR',
    severity: labels.severity === 'page' ? 'CRITICAL' : 'WARNING',
    documentation: {
      mimeType: 'text/markdown',
      content: `${annotations.summary.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '${metric.label.$1}')}\n\n${annotations.runbook_url}`,
    },
    conditions: [
      {
        displayName: alert,
        conditionPrometheusQueryLanguage: {
          query: expr,
          duration: `${secondsOf(lasts)}s`,
          evaluationInterval: '30s',
        },
      },
    ],
  }
}

function secondsOf(text: string): number {
  const [, count = '', unit = ''] = /^(\d+)([smh])$/.exec(text) ?? []
  const seconds = { s: 1, m: 60, h: 3_600 }[unit]
  if (seconds === undefined) throw new TypeError(`"for: ${text}" is no time`)
  return Number(count) * seconds
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, 'cloud-monitoring.json'), renderPolicies())
  process.stdout.write(`wrote ${readRules().length} alert policies\n`)
}
