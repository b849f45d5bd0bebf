import { defineConfig } from 'vitest/config'

/** `npm run browsers`: pages in Debian's Chromium, which `npm test` does not need. */
export default defineConfig({
  test: {
    include: ['test/browsers/**/*.browser.ts'],
    setupFiles: ['test/support/network-guard.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    maxWorkers: 1,
  },
})
