import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
  type Resource,
} from '@opentelemetry/resources'
import { softwareVersion as version } from '../../domain/version.ts'
import type { Log } from '../../ports/log.ts'

export const exportTimeoutMs = 10_000
export const closeTimeoutMs = 1_000

/** How any of OpenTelemetry's exporters sends a batch. */
interface Sends<Batch, Result> {
  export(batch: Batch, done: (result: Result) => void): void
}

/**
 * Sends as the exporter does, and logs one line when sending begins to fail and one when it works again; never what a
 * collector answered.
 */
export function logFailedExports<Batch, Result extends { readonly error?: Error | undefined }>(
  what: 'metrics' | 'traces',
  exporter: Sends<Batch, Result>,
  log: Log,
): Sends<Batch, Result>['export'] {
  let isFailing = false
  return (batch, done) =>
    exporter.export(batch, (result) => {
      const { error } = result
      const fails = error !== undefined
      if (fails !== isFailing)
        log(fails ? 'warn' : 'info', `${what} ${fails ? 'cannot be sent' : 'are sent again'}`, { error })
      isFailing = fails
      done(result)
    })
}

/** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come last and win. */
export function resourceOf(instance: string): Resource {
  const own = { 'service.name': 'downscope', 'service.version': version, 'service.instance.id': instance }
  return resourceFromAttributes(own).merge(
    detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
  )
}
