import type { Behaviour } from './behaviour.ts'
import type { Call } from './calls.ts'

/** A behaviour, or a choice by the call; undefined means properly. */
export type Scripted = Behaviour | ((call: Call) => Behaviour | undefined)

/** How one endpoint behaves from now on. */
export type Script = {
  /** For the next `n` calls, after what is queued already. */
  readonly next: (n: number, behaviour: Scripted) => void
  /** For every call that nothing queued covers. */
  readonly always: (behaviour: Scripted) => void
  /** Properly again. */
  readonly clear: () => void
}

export type PlayedScript = Script & { take(call: Call): Behaviour }

const honest: Behaviour = { do: 'honest' }

export function createScript(): PlayedScript {
  let queue: readonly Scripted[] = []
  let standing: Scripted = honest
  return {
    next: (n, behaviour) => {
      queue = [...queue, ...Array.from({ length: n }, () => behaviour)]
    },
    always: (behaviour) => {
      standing = behaviour
    },
    clear: () => {
      queue = []
      standing = honest
    },
    take: (call) => {
      const [scripted = standing, ...rest] = queue
      queue = rest
      return typeof scripted === 'function' ? (scripted(call) ?? honest) : scripted
    },
  }
}
