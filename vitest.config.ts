import { defineConfig } from 'vitest/config'

import { createCountReporter } from './test/support/count-reporter.ts'

export default defineConfig({
  test: {
    reporters: [['default', { summary: false }], createCountReporter((line) => process.stdout.write(line))],
    // At the root: started once for all projects, its host is provided to each of them.
    globalSetup: ['test/support/firestore-emulator.ts'],
    passWithNoTests: false,
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.workerd.test.ts'],
          environment: 'node',
          setupFiles: ['test/support/network-guard.ts'],
          testTimeout: 10_000,
          hookTimeout: 30_000,
          retry: 0,
          restoreMocks: true,
          unstubEnvs: true,
          unstubGlobals: true,
          // The Firestore SDK asks the metadata server for a project even beside an emulator.
          env: { METADATA_SERVER_DETECTION: 'none' },
        },
      },
    ],
  },
})
