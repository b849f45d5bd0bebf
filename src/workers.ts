import { createWorkerBroker, type WorkerBroker } from './compose/worker-broker.ts'
import type { WorkersBindings } from './compose/workers-platform.ts'

// The entry point on Workers. The platform looks for the classes of its objects here.
export { DocumentsObject } from './adapters/durable-object/documents-object.ts'

const brokerOf = oncePerIsolate(createWorkerBroker)

export default {
  fetch: (request, bindings) => brokerOf(bindings).serve(request),
  scheduled: (_, bindings) => brokerOf(bindings).maintain(),
} satisfies ExportedHandler<WorkersBindings>

/** An isolate has one set of bindings for life. Within a request and not before: until then there is no randomness. */
function oncePerIsolate(
  create: (bindings: WorkersBindings) => WorkerBroker,
): (bindings: WorkersBindings) => WorkerBroker {
  let broker: WorkerBroker | undefined
  return (bindings) => (broker ??= create(bindings))
}
