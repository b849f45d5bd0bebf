/**
 * The CPU time of this thread that `work` takes, in milliseconds: the least of several runs, so that neither a busy
 * machine nor a compilation or collection that fell into one run counts.
 */
export function leastCpuMs(work: () => void, runs = 10): number {
  const tookMs = Array.from({ length: runs }, () => {
    const before = process.threadCpuUsage()
    work()
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1000
  })
  return Math.min(...tookMs)
}
