import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/**
 * Ends a run with `N passed, N failed, N skipped`, alone on a line. A file that could not be read and an
 * error outside any test each count as one failure: a run that saw nothing cannot look green.
 */
export function createCountReporter(write: (line: string) => void): Reporter {
  return {
    onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
      for (const module of modules) {
        counts.failed += module.errors().length
        for (const test of module.children.allTests()) counts[test.result().state] += 1
        for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
      }
      counts.failed += counts.pending
      write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
    },
  }
}
