import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createVitest, type CliOptions } from 'vitest/node'
import { plainEnvironment } from '../../test/support/run-node.ts'

// One vitest for all mutants: what did not change is read and transformed once. It is a process of its own, for a
// mutant may spin for ever, and then no message gets through.

export interface TestRunner {
  /** Reads a file that was written anew. */
  readonly forget: (file: string) => void
  /** The first of the test files that fails, if any does. */
  readonly firstFailure: (tests: readonly string[]) => Promise<string | undefined>
  readonly stop: () => void
}

interface Order {
  readonly forget: readonly string[]
  readonly tests: readonly string[]
}

export function createTestRunner(folder: string, runMsMax: number): TestRunner {
  let runner: ChildProcess | undefined
  let forget: string[] = []
  const stop = (): void => {
    // With its workers: they are a group.
    if (runner?.pid !== undefined) process.kill(-runner.pid, 'SIGKILL')
    runner = undefined
  }
  return {
    stop,
    forget: (file) => void forget.push(file),
    firstFailure: async (tests) => {
      runner ??= fork(fileURLToPath(import.meta.url), [], {
        cwd: folder,
        env: plainEnvironment(),
        detached: true,
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      })
      runner.send({ forget, tests } satisfies Order)
      forget = []
      const signal = AbortSignal.timeout(runMsMax)
      try {
        const answer: readonly unknown[] = await once(runner, 'message', { signal })
        return typeof answer[0] === 'string' ? answer[0] : undefined
      } catch {
        stop()
        return `no end of ${tests[0] ?? 'a run'} within ${runMsMax / 1000} s`
      }
    },
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  let failed: string | undefined
  const options: CliOptions = {
    project: ['node'],
    watch: false,
    reporters: [
      {
        onTestCaseResult: (test) => {
          if (test.result().state === 'failed') noteFailure(test.module.relativeModuleId)
        },
        onTestModuleEnd: (module) => {
          if (module.state() === 'failed') noteFailure(module.relativeModuleId)
        },
      },
    ],
  }
  const vitest = createVitest(options).then(async (created) => {
    await created.standalone()
    return created
  })
  // `bail` would count the failures of all runs.
  const noteFailure = (file: string): void => {
    failed ??= file
    void vitest.then((running) => running.cancelCurrentRun('test-failure'))
  }
  const run = async ({ forget, tests }: Order): Promise<string | null> => {
    failed = undefined
    const running = await vitest
    for (const file of forget) running.invalidateFile(file)
    const { unhandledErrors } = await running.runTestFiles([...tests])
    if (failed === undefined && unhandledErrors.length > 0) return `an error beside ${tests[0] ?? 'no test'}`
    return failed ?? null
  }
  process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'))
  process.on('message', (order: Order) => {
    void run(order)
      .catch(String)
      .then((answer) => process.send?.(answer))
  })
}
