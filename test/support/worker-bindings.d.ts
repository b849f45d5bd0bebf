import type { WorkersBindings } from '../../src/compose/workers-platform.ts'

declare global {
  namespace Cloudflare {
    /** What tests in workerd find in `env`. */
    interface Env extends WorkersBindings {}
  }
}
