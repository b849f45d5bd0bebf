import { expect, test } from 'vitest'
import { judgeBundle, judgeStartUp, type WorkerBundle } from '../../infra/judge-worker.ts'

const good: WorkerBundle = {
  gzipBytes: 300_000,
  inputs: Array.from({ length: 100 }, (_, n) => `src/${n}.ts`),
  externals: ['cloudflare:workers'],
}

test('a Worker within the limits passes', () => {
  expect(judgeBundle(good)).toEqual([])
  expect(judgeStartUp(50)).toEqual([])
})

test.each([
  [{ gzipBytes: 300_001 }, /300001 bytes/],
  [{ inputs: ['src/workers.ts'] }, /not the whole Worker/],
  [{ externals: ['cloudflare:workers', 'node:fs'] }, /node:fs/],
  [{ inputs: [...good.inputs, 'node_modules/unenv/dist/x.mjs'] }, /stand-in for Node/],
  [{ inputs: [...good.inputs, 'src/http/credential-schemas.ts'] }, /only documentation/],
])('a bundle with %j fails', (fault, words) => {
  expect(judgeBundle({ ...good, ...fault })).toEqual([expect.stringMatching(words)])
})

test.each([
  [50.1, /50.1 ms is more/],
  [Number.NaN, /not measured/],
  [0, /not measured/],
])('a start-up of %d ms fails', (ms, words) => {
  expect(judgeStartUp(ms)).toEqual([expect.stringMatching(words)])
})
