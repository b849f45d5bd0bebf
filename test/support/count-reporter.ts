import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import { measureLines, measuresVariable } from './measures.ts'

interface Counts {
  passed: number
  failed: number
  skipped: number
}

/**
 * Ends a run with a line for each runtime, `node: N passed, …`, one for each thing that was measured, and then `N passed, N failed, N skipped` of all, alone
 * on its line. A file that could not be read and an error outside any test each count as one failure: a run that saw
 * nothing cannot look green.
 */
export function createCountReporter(write: (line: string) => void): Reporter {
  return {
    onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
      const total: Counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
      const lines = ['']
      for (const [runtime, ofRuntime] of Map.groupBy(modules, ({ project }) => project.name)) {
        const counts = countOf(ofRuntime)
        total.passed += counts.passed
        total.failed += counts.failed
        total.skipped += counts.skipped
        lines.push(`${runtime}: ${lineOf(counts)}`)
      }
      lines.push(...measureLines(process.env[measuresVariable]))
      write(`${lines.join('\n')}\n${lineOf(total)}\n`)
    },
  }
}

function countOf(modules: readonly TestModule[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
  for (const module of modules) {
    counts.failed += module.errors().length
    for (const test of module.children.allTests()) counts[test.result().state] += 1
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
  }
  return { ...counts, failed: counts.failed + counts.pending }
}

function lineOf({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
