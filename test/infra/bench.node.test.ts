import { createServer, type RequestListener } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseBenchArguments } from '../../infra/bench/arguments.ts'
import { createCaller, signBatch } from '../../infra/bench/callers.ts'
import { parseCoreList, parseCpuMs } from '../../infra/bench/cores.ts'
import { functionTimes } from '../../infra/bench/function-times.ts'
import { partOf } from '../../infra/bench/locate.ts'
import { createRequestCounter } from '../../infra/bench/firestore-requests.ts'
import { runLoad } from '../../infra/bench/load.ts'
import { readAnswer } from '../../infra/bench/read-answer.ts'
import { measureLongPolicy } from '../../infra/bench/long-policy.ts'
import { longPolicyLine } from '../../infra/bench/report.ts'
import { median, medianRatio } from '../../infra/bench/statistics.ts'
import {
  missedPolicyTargets,
  missedStartTargets,
  missedTargets,
  summarize,
  summarizeStarts,
} from '../../infra/bench/targets.ts'
import { betweenMarkers } from '../../infra/bench/write-tables.ts'
import { listenOnLoopback } from '../support/listen.ts'

describe('the bench’s statistics', () => {
  it('the median is the middle value, or the mean of the two in the middle, in any order', () => {
    expect(median([5, 1, 100])).toBe(5)
    expect(median([10, 1, 2, 3])).toBe(2.5)
    expect(() => median([])).toThrow(RangeError)
  })

  it('a ratio is taken within a round, so a slow minute that hits both leaves it as it is', () => {
    expect(medianRatio([90, 45, 9], [100, 50, 10])).toBe(0.9)
    expect(() => medianRatio([1, 2], [1])).toThrow(RangeError)
  })

  it('a target is met at its very bound and missed just beyond it', () => {
    expect(missedTargets('hit', { requestsToFloor: 0.8, cpuToFloor: 1.25 })).toEqual([])
    expect(missedTargets('hit', { requestsToFloor: 0.799, cpuToFloor: 1.251 })).toHaveLength(2)
    expect(missedTargets('repeated', { requestsToFloor: 2.499, cpuToFloor: 0.4 })).toHaveLength(1)
    expect(missedTargets('hit', { requestsToFloor: Number.NaN })).toHaveLength(1)
    expect(missedTargets('oidc-provider', { requestsToFloor: 0.1, cpuToFloor: 9 })).toEqual([])
  })

  it('the start over REST has a target and the others are shown only', () => {
    expect(missedStartTargets('rest-start', 3)).toEqual([])
    expect(missedStartTargets('rest-start', 3.001)).toHaveLength(1)
    expect(missedStartTargets('sdk-start', 9)).toEqual([])
  })

  it('a long policy is loaded and matched, and has targets of its own', () => {
    const figures = measureLongPolicy(200)
    expect(figures.rules).toBe(200)
    expect(longPolicyLine(figures)).toMatch(
      /^a policy of 200 rules, 0\.0 MB: loaded in \d+ ms of CPU \(the longest/,
    )
    expect(missedPolicyTargets({ loadMs: 500, matchUs: 50 })).toEqual([])
    expect(missedPolicyTargets({ loadMs: 501, matchUs: 51 })).toHaveLength(2)
  })

  it('a start is compared with the bare start of its own round', () => {
    const starts = [
      { id: 'bare', name: 'bare', firstAnswerMs: [50, 100, 60] },
      { id: 'rest-start', name: 'REST', firstAnswerMs: [200, 400, 180] },
    ] as const
    expect(summarizeStarts(starts)[1]).toMatchObject({ ms: 200, toBare: 4, missed: [expect.any(String)] })
  })

  it('a summary compares each number of connections with the floor of its own rounds', () => {
    const contenders = [
      { id: 'floor', name: 'floor' },
      { id: 'hit', name: 'hit' },
    ] as const
    const measurements = [1, 16, 64].flatMap((connections) =>
      [1, 2, 3].flatMap(
        (round) =>
          [
            {
              id: 'floor',
              connections,
              round,
              answered: 1,
              requestsPerSecond: 100 * round,
              cpuUsPerRequest: 100,
              busy: 1,
            },
            {
              id: 'hit',
              connections,
              round,
              answered: 1,
              requestsPerSecond: 70 * round,
              cpuUsPerRequest: 110,
              busy: 1,
            },
          ] as const,
      ),
    )
    const summaries = summarize(contenders, measurements)
    expect(summaries).toHaveLength(6)
    expect(summaries[3]).toMatchObject({
      id: 'hit',
      connections: 16,
      requestsPerSecond: 140,
      requestsToFloor: 0.7,
    })
    expect(summaries[3]?.cpuToFloor).toBeCloseTo(1.1)
    expect(summaries[3]?.missed).toHaveLength(1)
  })

  it('replay records have a target at 64 connections alone, where they can travel together', () => {
    const measured = [1, 16, 64].flatMap((connections) =>
      (['floor', 'sqlite'] as const).map((id) => ({
        id,
        connections,
        round: 1,
        answered: 1,
        requestsPerSecond: id === 'floor' ? 100 : 60,
      })),
    )
    const rows = [
      { id: 'floor', name: 'floor' },
      { id: 'sqlite', name: 'SQLite' },
    ] as const
    const summaries = summarize(rows, measured).filter(({ id }) => id === 'sqlite')
    expect(summaries.map(({ missed }) => missed.length)).toEqual([0, 0, 1])
  })

  it('requests to Firestore are counted over HTTP/2 and HTTP/1.1, however they are cut', () => {
    const frame = (type: number, length: number) =>
      Buffer.concat([Buffer.from([0, 0, length, type, 0, 0, 0, 0, 1]), Buffer.alloc(length, 1)])
    const http2 = Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0),
      frame(1, 20),
      frame(0, 200),
      frame(1, 3),
      frame(8, 4),
    ])
    const http1 = Buffer.from('POST /v1/a HTTP/1.1\r\nx: y\r\n\r\n{}POST /v1/b HTTP/1.1\r\n\r\n'.repeat(2))
    for (const [sent, requests] of [
      [http2, 2],
      [http1, 4],
    ] as const)
      for (const size of [1, 7, sent.length]) {
        const count = createRequestCounter()
        let counted = 0
        for (let at = 0; at < sent.length; at += size) counted += count(sent.subarray(at, at + size))
        expect(counted).toBe(requests)
      }
  })
})

describe('the bench’s command line', () => {
  it('without options it runs fifteen short rounds and fails on a missed target', () => {
    expect(parseBenchArguments([])).toEqual({
      rounds: 15,
      windowMs: 400,
      enforcesTargets: true,
      writesDocs: false,
    })
  })

  it('a quick run has short windows and still five rounds', () => {
    expect(
      parseBenchArguments(['--quick', '--no-targets', '--docs', '--json', 'x.json', '--cpu-prof', 'p']),
    ).toEqual({
      rounds: 5,
      windowMs: 200,
      enforcesTargets: false,
      writesDocs: true,
      jsonFile: 'x.json',
      profileFolder: 'p',
    })
  })

  it('may be told which rows to measure', () => {
    expect(parseBenchArguments(['--only', 'hit,rest-start']).only).toEqual(new Set(['hit', 'rest-start']))
    expect(() => parseBenchArguments(['--only', 'hit', '--docs'])).toThrow('--docs')
  })

  it.each([
    ['--rounds', '4'],
    ['--rounds', '5.5'],
    ['--seconds', '0'],
    ['--seconds', '1e3'],
    ['--json', ''],
    ['--only', 'hits'],
    ['--only', ''],
    ['--fast'],
  ])('refuses %s %s', (...argv) => {
    expect(() => parseBenchArguments(argv)).toThrow()
  })
})

describe('what the bench reads', () => {
  const reply = (body: string, head = 'HTTP/1.1 200 OK') =>
    `${head}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

  it('an answer counts when it is whole, is a 200 and holds a token', () => {
    const whole = reply('{"access_token":"abc"}')
    expect(readAnswer(whole)).toEqual({ kind: 'token', body: '{"access_token":"abc"}' })
    for (let length = 0; length < whole.length; length += 1)
      expect(readAnswer(whole.slice(0, length)).kind).toBe('partial')
  })

  it('an answer that is no token is never taken for one', () => {
    expect(readAnswer(reply('{"access_token":"abc"}', 'HTTP/1.1 401 Unauthorized')).kind).toBe(
      'another status',
    )
    expect(readAnswer(reply('{"error":"invalid_client"}')).kind).toBe('no token')
    expect(readAnswer(`${reply('{"access_token":"abc"}')}HTTP/1.1`).kind).toBe('too long')
    expect(readAnswer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n').kind).toBe('no length')
  })

  it('cores come out of a list with ranges, and none out of anything else', () => {
    expect(parseCoreList("pid 7's current affinity list: 0,2-4\n")).toEqual([0, 2, 3, 4])
    expect(parseCoreList('taskset: failed')).toEqual([])
  })

  it('CPU time is read behind a process name with spaces and parentheses', () => {
    const stat = '7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 11 0 100'
    expect(parseCpuMs(stat)).toBe(3000)
    expect(parseCpuMs('')).toBeUndefined()
  })
})

describe('the tables in docs/performance.md', () => {
  it('replace what is between the markers, and nothing else', () => {
    const text = 'a\n<!-- bench:begin -->\nold $1\n<!-- bench:end -->\nz\n'
    expect(betweenMarkers(text, ['new $&'])).toBe('a\n<!-- bench:begin -->\nnew $&\n<!-- bench:end -->\nz\n')
    expect(() => betweenMarkers('a\n', ['new'])).toThrow('bench:begin')
  })
})

describe('what the bench sends', () => {
  it('every request of a batch carries another jti, signed and for the broker', () => {
    const requests = signBatch(createCaller('billing'), 50).map((bytes) => Buffer.from(bytes).toString())
    const claims = requests.map((request) => {
      const form = new URLSearchParams(request.split('\r\n\r\n')[1])
      const payload = form.get('client_assertion')?.split('.')[1] ?? ''
      return Buffer.from(payload, 'base64url').toString()
    })
    expect(new Set(claims.map((text) => /"jti":"([^"]+)"/.exec(text)?.[1])).size).toBe(50)
    expect(claims.every((text) => text.includes('"aud":"https://tokens.bench.example"'))).toBe(true)
  })

  it('a request’s declared length is that of its body', () => {
    const [head = '', body = ''] = Buffer.from(createCaller('billing').request()).toString().split('\r\n\r\n')
    expect(/Content-Length: (\d+)/.exec(head)?.[1]).toBe(String(body.length))
  })
})

describe('the bench’s load', () => {
  const caller = createCaller('billing')
  const answer = '{"access_token":"abc"}'

  async function load(listener: RequestListener, requests: number) {
    const server = createServer(listener)
    onTestFinished(() => void server.close())
    const port = await listenOnLoopback(server)
    const batch = Array.from({ length: requests }, () => caller.request())
    let readings = 0
    const meter = () => (readings += 7)
    return runLoad({ port, connections: 4, durationMs: 5000, next: () => batch.pop(), meter })
  }

  it('every request is sent once and every answer counted, and the window ends with the requests', async () => {
    const seen: string[] = []
    const result = await load((request, response) => {
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
      request.on('end', () => response.writeHead(200, { 'content-length': answer.length }).end(answer))
    }, 41)
    expect(result).toMatchObject({ answered: 41, faultCount: 0, metered: 7, sample: answer })
    expect(new Set(seen).size).toBe(41)
    expect(result.elapsedMs).toBeLessThan(5000)
  })

  it('a refusal and a broken connection are faults and no answers', async () => {
    const refused = await load((_, response) => response.writeHead(401).end(), 8)
    expect(refused).toMatchObject({ answered: 0, faultCount: 4 })
    const broken = await load((request) => request.destroy(), 8)
    expect(broken).toMatchObject({ answered: 0, faultCount: 4 })
  })
})

describe('the bench’s profile', () => {
  const frame = (functionName: string) => ({ functionName, url: '', lineNumber: 0, columnNumber: 0 })
  const profile = {
    startTime: 1000,
    nodes: [
      { id: 1, children: [2], callFrame: frame('root') },
      { id: 2, children: [3], callFrame: frame('again') },
      { id: 3, callFrame: frame('again') },
    ],
    samples: [1, 2, 3, 1],
    timeDeltas: [0, 10, 20, 30],
  }
  const nameOf = ({ functionName }: { readonly functionName: string }) => functionName

  it('a function’s total holds what it called and counts itself once', () => {
    expect(functionTimes(profile, { startUs: 0, endUs: 5000 }, nameOf)).toEqual([
      { name: 'again', selfUs: 50, totalUs: 50 },
      { name: 'root', selfUs: 10, totalUs: 60 },
    ])
  })

  it('time outside the window is left out', () => {
    expect(functionTimes(profile, { startUs: 1030, endUs: 5000 }, nameOf)).toEqual([
      { name: 'again', selfUs: 30, totalUs: 30 },
      { name: 'root', selfUs: 0, totalUs: 30 },
    ])
  })

  it('a place is told by its package, its folder in src, Node or V8', () => {
    expect(partOf('verify node_modules/jose/dist/x.js:1')).toBe('jose')
    expect(partOf('serve node_modules/@hono/node-server/dist/index.mjs:9')).toBe('@hono/node-server')
    expect(partOf('put src/adapters/memory/memory-store.ts:31')).toBe('src/adapters')
    expect(partOf('(anonymous) src/exchange.ts:38')).toBe('src/exchange.ts')
    expect(partOf('(garbage collector)')).toBe('(garbage collector)')
  })
})
