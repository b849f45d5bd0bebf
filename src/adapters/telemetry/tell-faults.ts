import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
  type Resource,
} from '@opentelemetry/resources'
import { softwareVersion as version } from '../../domain/version.ts'
import type { Log } from '../../ports/log.ts'

/** One line when sending begins to fail and one when it works again; never what a collector answered. */
export function createTellFaults(what: 'metrics' | 'traces', log: Log): (error: Error | undefined) => void {
  let isFailing = false
  return (error) => {
    const fails = error !== undefined
    if (fails !== isFailing)
      log(fails ? 'warn' : 'info', `${what} ${fails ? 'cannot be sent' : 'are sent again'}`, { error })
    isFailing = fails
  }
}

/** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come last and win. */
export function resourceOf(instance: string): Resource {
  const own = { 'service.name': 'downscope', 'service.version': version, 'service.instance.id': instance }
  return resourceFromAttributes(own).merge(
    detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
  )
}
