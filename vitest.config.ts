import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { BaseSequencer } from 'vitest/node'
import { createCountReporter } from './test/support/count-reporter.ts'

/**
 * A CI run is not lost to one test that a busy machine upset; whatever needed its second try is named in the output. On
 * a developer's machine there is none.
 */
const retries = process.env['CI'] === undefined ? 0 : 1

/** Vitest's order is by size, and this file is small: what it waits for, nearly a minute, would be the end of a run. */
const longest = 'test/end-to-end/processes.node.test.ts'

class LongestFirst extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer['sort']>[0]) {
    const [first, others] = [true, false].map((isFirst) =>
      files.filter(({ moduleId }) => moduleId.endsWith(longest) === isFirst),
    )
    // oxlint-disable-next-line unicorn/no-array-sort -- no array's, but Vitest's own order
    return [...(first ?? []), ...(await super.sort(others ?? []))]
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: [['default', { summary: false }], createCountReporter((line) => process.stdout.write(line))],
    // At the root: started once for all projects, its host is provided to each of them.
    globalSetup: ['test/support/firestore-emulator.ts', 'test/support/measures-file.ts'],
    // Many tests wait for processes of theirs: with one worker a core, a third of the time is idle.
    maxWorkers: 3,
    passWithNoTests: false,
    silent: 'passed-only',
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.workerd.test.ts'],
          environment: 'node',
          setupFiles: ['test/support/network-guard.ts'],
          // One process for all files of a worker: a fresh one for each, with its imports, is a third of a second of CPU.
          isolate: false,
          // For what never ends, and not for what a busy machine makes slow. The emulator has two minutes to start.
          testTimeout: 60_000,
          hookTimeout: 150_000,
          retry: retries,
          restoreMocks: true,
          unstubEnvs: true,
          unstubGlobals: true,
          // The Firestore SDK asks the metadata server for a project even beside an emulator.
          env: { METADATA_SERVER_DETECTION: 'none' },
        },
      },
      {
        // The same files in the Workers runtime, but for those that are made for Node.
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' }, remoteBindings: false })],
        test: {
          name: 'workerd',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.node.test.ts'],
          setupFiles: ['test/support/workerd-network-guard.ts'],
          // One isolate for all files of a worker, as in production; a fresh one for each costs half the time.
          isolate: false,
          // For what never ends, and not for what a busy machine makes slow. The emulator has two minutes to start.
          testTimeout: 60_000,
          hookTimeout: 150_000,
          retry: retries,
          restoreMocks: true,
          unstubGlobals: true,
        },
      },
    ],
  },
})
