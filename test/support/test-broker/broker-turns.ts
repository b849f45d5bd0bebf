import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { noteMeasure } from '../measures.ts'
import { isObject, jsonObject } from './json.ts'

/** No turn of a broker's event loop may use more CPU time than this: all others wait meanwhile. */
export const turnMsMax = 100

/** What `measure-turns.ts` tells. */
export interface BrokerTurns {
  /** The longest turn of a broker so far. */
  readonly longest: () => { readonly ms: number; readonly requests: string }
  /** How much of its heap is in use after a collection. */
  readonly heapMiB: () => Promise<number>
}

/** Reads what a broker tells of its turns on descriptor 3. */
export function collectTurns(child: ChildProcess): BrokerTurns {
  let longest = { ms: 0, requests: '' }
  let rest = ''
  const heap = new EventEmitter()
  const pipe = child.stdio[3]
  if (pipe && 'on' in pipe)
    pipe.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const said = jsonObject(line)
        if (!isObject(said)) continue
        if ('heapMiB' in said) {
          heap.emit('told', Number(said['heapMiB']))
          continue
        }
        const ms = Number(said['ms'])
        if (ms > longest.ms) longest = { ms, requests: String(said['requests']) }
        noteMeasure('longest turn of a broker process', ms, 'ms of CPU')
        noteMeasure('longest stand-still of a broker process', Number(said['wallMs']), 'ms')
      }
    })
  return {
    longest: () => longest,
    heapMiB: async () => {
      child.kill('SIGUSR2')
      const told: readonly unknown[] = await once(heap, 'told')
      return Number(told[0])
    },
  }
}
