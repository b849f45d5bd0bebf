import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Where the servers and the load run. */
export interface Cores {
  /** The command and arguments that put a program on the servers' core; empty when nothing is pinned. */
  readonly onServerCore: readonly string[]
  /** For the report. */
  readonly sentence: string
}

const taskset = 'taskset'

/**
 * Puts this process on one core and keeps another for the servers. Without `taskset`, or with one core only, nothing
 * is pinned and the sentence says so.
 */
export function takeCores(): Cores {
  const asked = spawnSync(taskset, ['-cp', String(process.pid)], { encoding: 'utf8' })
  const [loadCore, serverCore] = parseCoreList(asked.stdout ?? '')
  if (asked.status !== 0 || loadCore === undefined || serverCore === undefined)
    return { onServerCore: [], sentence: 'nothing is pinned (no taskset, or one core): expect more noise' }
  const pinned = spawnSync(taskset, ['-acp', String(loadCore), String(process.pid)], { encoding: 'utf8' })
  if (pinned.status !== 0) return { onServerCore: [], sentence: 'taskset refuses to pin: expect more noise' }
  return {
    onServerCore: [taskset, '-c', String(serverCore)],
    sentence: `servers on core ${serverCore}, load on core ${loadCore}`,
  }
}

/** The cores in `taskset -cp`'s answer, such as `pid 7's current affinity list: 0,2-4`. */
export function parseCoreList(text: string): readonly number[] {
  const list = /:\s*(?<list>[\d,-]+)\s*$/.exec(text)?.groups?.['list'] ?? ''
  return list.split(',').flatMap((part) => {
    const { first, last = first } = /^(?<first>\d+)(?:-(?<last>\d+))?$/.exec(part)?.groups ?? {}
    if (first === undefined || last === undefined) return []
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index)
  })
}

/** Linux counts a process's CPU time in these for user space, whatever the kernel's own tick is. */
const msPerTick = 10

/** User and system time of all threads of a process so far; `undefined` where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    return parseCpuMs(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return undefined
  }
}

/** proc_pid_stat(5): utime and stime are fields 14 and 15; the name, field 2, may hold spaces and parentheses. */
export function parseCpuMs(stat: string): number | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return Number.isFinite(ticks) ? ticks * msPerTick : undefined
}
