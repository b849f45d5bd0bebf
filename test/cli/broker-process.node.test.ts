import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
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
    const { port, start } = await openTakenPort(createServer())

    await expect(start()).rejects.toThrow(`address already in use 127.0.0.1:${port}`)
  },
)

test(
  'one whose port was taken meanwhile has not started, though it did once and somebody else answers',
  { timeout: 12_000 },
  async () => {
    const other = createHttpServer((_request, response) => response.end())
    const { port, logFile, start } = await openTakenPort(other)
    await writeFile(logFile, '{"severity":"INFO","message":"downscope is listening"}\n')

    await expect(start()).rejects.toThrow(`address already in use 127.0.0.1:${port}`)
  },
)

async function openTakenPort(squatter: Server) {
  const folder = await mkdtemp(join(tmpdir(), 'downscope-dev-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const port = await listenOnLoopback(squatter)
  onTestFinished(() => void squatter.close())
  const env = {
    DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${btoa('0'.repeat(32))}`,
    DOWNSCOPE_POLICY_YAML: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
  }
  const logFile = join(folder, 'broker.log')
  return { port, logFile, start: () => startBroker({ port, env, logFile, module }) }
}
