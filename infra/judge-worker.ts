export interface WorkerBundle {
  readonly gzipBytes: number
  /** The bundled files. */
  readonly inputs: readonly string[]
  /** What is imported and not bundled. */
  readonly externals: readonly string[]
}

/** KB = 1,000. Workers take 3 MB on the free plan: this limit is for cold starts. */
const gzipBytesMax = 300_000
/** Workers allow 1 s. */
const startUpMsMax = 50
/** Below this nothing was measured. */
const startUpMsMin = 1
const inputsMin = 100

/** What is wrong with a Worker's bundle, in words. */
export function judgeBundle({ gzipBytes, inputs, externals }: WorkerBundle): readonly string[] {
  const faults: string[] = []
  if (gzipBytes > gzipBytesMax) faults.push(`${gzipBytes} bytes compressed are more than ${gzipBytesMax}`)
  if (inputs.length < inputsMin) faults.push(`a bundle of ${inputs.length} files is not the whole Worker`)
  // Wrangler only warns, and the Worker fails when it starts or when it is called.
  for (const name of new Set(externals))
    if (!name.startsWith('cloudflare:') && name !== 'node:async_hooks')
      faults.push(`imports ${name}, which Workers do not have`)
  // The code imports their types alone.
  for (const name of inputs)
    if (/\/http\/(?:document|credential)-schemas\.ts$/.test(name))
      faults.push(`bundles ${name}, of which only documentation is made`)
  for (const name of inputs)
    if (/\/(?:unenv|@cloudflare\/unenv-preset)\//.test(name))
      faults.push(`bundles ${name}, a stand-in for Node`)
  return faults
}

/** What is wrong with a Worker's start-up, in words. */
export function judgeStartUp(ms: number): readonly string[] {
  if (ms > startUpMsMax) return [`a start-up of ${ms} ms is more than ${startUpMsMax} ms`]
  return ms >= startUpMsMin ? [] : [`a start-up of ${ms} ms was not measured`]
}
