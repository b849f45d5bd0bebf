/** What V8 writes with --cpu-prof, as far as it is read here. */
export interface CpuProfile {
  readonly startTime: number
  readonly nodes: readonly ProfileNode[]
  /** The node that ran at each sample. */
  readonly samples: readonly number[]
  /** Microseconds from the sample before, or from the start. */
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly children?: readonly number[] | undefined
  readonly callFrame: CallFrame
}

export interface CallFrame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
  readonly columnNumber: number
}

export interface FunctionTime {
  /** What `nameOf` made of the frame. */
  readonly name: string
  readonly selfUs: number
  /** With everything that it called; counted once where it calls itself. */
  readonly totalUs: number
}

/**
 * The time of each function within the window, whose ends are microseconds of the profile's own clock; longest self
 * time first. Frames of the same name are one function. An async function's total is the sum of its segments.
 */
export function functionTimes(
  profile: CpuProfile,
  window: { readonly startUs: number; readonly endUs: number },
  nameOf: (frame: CallFrame) => string,
): readonly FunctionTime[] {
  const stacks = stacksOf(profile, nameOf)
  const self = new Map<string, number>()
  const total = new Map<string, number>()
  for (const [id, us] of timeByNode(profile, window)) {
    const stack = stacks.get(id) ?? []
    const [top] = stack
    if (top !== undefined) self.set(top, (self.get(top) ?? 0) + us)
    for (const name of new Set(stack)) total.set(name, (total.get(name) ?? 0) + us)
  }
  return [...total]
    .map(([name, totalUs]) => ({ name, totalUs, selfUs: self.get(name) ?? 0 }))
    .toSorted((one, other) => other.selfUs - one.selfUs)
}

function timeByNode(
  { startTime, samples, timeDeltas }: CpuProfile,
  { startUs, endUs }: { readonly startUs: number; readonly endUs: number },
): ReadonlyMap<number, number> {
  const spent = new Map<number, number>()
  let at = startTime
  for (const [index, id] of samples.entries()) {
    at += timeDeltas[index] ?? 0
    // A sample stands for the time until the next one.
    if (at >= startUs && at < endUs) spent.set(id, (spent.get(id) ?? 0) + (timeDeltas[index + 1] ?? 0))
  }
  return spent
}

/** The names from each node up to the root. */
function stacksOf(
  { nodes }: CpuProfile,
  nameOf: (frame: CallFrame) => string,
): ReadonlyMap<number, readonly string[]> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])))
  return new Map(
    nodes.map(({ id }) => {
      const stack: string[] = []
      for (let node = byId.get(id); node !== undefined; node = byId.get(parents.get(node.id) ?? Number.NaN))
        stack.push(nameOf(node.callFrame))
      return [id, stack]
    }),
  )
}
