import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { fstatSync, writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'

// Loaded into a broker under test before its own code: from its first request on it tells its parent, on descriptor 3,
// how much CPU time of its thread was used between two ticks. That is one turn of the event loop and at most a tick
// more, and it does not depend on how busy the machine is.
const tickMs = 10
const toldMsMin = 15
const requestStarts = 'http.server.request.start'

let requests: string[] = []
let count = 0

if (isPipe(3)) subscribe(requestStarts, begin)

function begin(): void {
  unsubscribe(requestStarts, begin)
  // For the next broker: one that is killed leaves nothing behind.
  flushCompileCache()
  subscribe(requestStarts, noteRequest)
  let before = cpuMs()
  let atMs = performance.now()
  setInterval(() => {
    const after = cpuMs()
    const now = performance.now()
    const [ms, wallMs] = [after - before, now - atMs]
    count += 1
    if (ms > toldMsMin) writeSync(3, `${JSON.stringify({ ms, wallMs, count, requests })}\n`)
    requests = []
    // Told without being counted itself.
    before = cpuMs()
    atMs = now
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
