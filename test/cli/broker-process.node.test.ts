import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startBroker } from '../../src/cli/dev/broker-process.ts'
import { listenOnLoopback } from '../support/listen.ts'

const module = import.meta.resolve('../../src/cloud-run.ts')

// The limit is well below the 20 s that a start may take: it must be the broker's end that is seen.
test(
  'a broker that cannot start ends by itself, and its last words are told',
  { timeout: 12_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'downscope-dev-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const squatter = createServer()
    const port = await listenOnLoopback(squatter)
    onTestFinished(() => void squatter.close())
    const env = {
      DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
      DOWNSCOPE_STORE: 'memory:',
      DOWNSCOPE_KEYS: `k1:${btoa('0'.repeat(32))}`,
      DOWNSCOPE_POLICY_YAML: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
    }

    const starting = startBroker({ port, env, logFile: join(folder, 'broker.log'), module })

    await expect(starting).rejects.toThrow(`address already in use 127.0.0.1:${port}`)
  },
)
