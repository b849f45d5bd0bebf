import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { fstatSync, writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// Loaded into a broker under test before its own code: from its first request on it tells its parent, on descriptor 3,
// how much CPU time of its thread was used between two ticks. That is one turn of the event loop and at most a tick
// more, and it does not depend on how busy the machine is. On SIGUSR2 it tells how much of its heap is in use after a
// collection, which counts as nobody's turn.
const tickMs = 10
const toldMsMin = 15
const requestStarts = 'http.server.request.start'

let requests: string[] = []
let count = 0
let before = cpuMs()
let atMs = performance.now()

if (isPipe(3)) {
  subscribe(requestStarts, begin)
  process.on('SIGUSR2', tellHeap)
}

function tellHeap(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
  writeSync(3, `${JSON.stringify({ heapMiB: process.memoryUsage().heapUsed / 2 ** 20 })}\n`)
  startTurn()
}

function startTurn(): void {
  before = cpuMs()
  atMs = performance.now()
}

function begin(): void {
  unsubscribe(requestStarts, begin)
  // For the next broker: one that is killed leaves nothing behind.
  flushCompileCache()
  subscribe(requestStarts, noteRequest)
  startTurn()
  setInterval(() => {
    const [ms, wallMs] = [cpuMs() - before, performance.now() - atMs]
    count += 1
    if (ms > toldMsMin) writeSync(3, `${JSON.stringify({ ms, wallMs, count, requests })}\n`)
    requests = []
    // Told without being counted itself.
    startTurn()
  }, tickMs).unref()
}

function noteRequest(message: unknown): void {
  if (requests.length >= 5 || typeof message !== 'object' || message === null) return
  const request: unknown = 'request' in message ? message.request : undefined
  if (typeof request !== 'object' || request === null) return
  const method = 'method' in request ? String(request.method) : ''
  const url = 'url' in request ? String(request.url).split('?')[0] : ''
  requests.push(`${method} ${url}`)
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function isPipe(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFIFO() || fstatSync(descriptor).isSocket()
  } catch {
    return false
  }
}
