/** A sequence of numbers that its seed determines, so that a case that failed can be had again. */
export interface Random {
  /** In [0, 1). */
  readonly fraction: () => number
  /** A whole number from 0 to `below`, which it never is. */
  readonly below: (below: number) => number
  readonly oneOf: <T>(choices: readonly T[]) => T
  /** Each of the choices with that probability. */
  readonly someOf: <T>(choices: readonly T[], probability?: number) => readonly T[]
  readonly chance: (probability: number) => boolean
}

/** Mulberry32: small, and good enough to draw test cases. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(fraction() * limit)
  return {
    fraction,
    below,
    oneOf: <T>(choices: readonly T[]): T => {
      const chosen = choices[below(choices.length)]
      if (chosen === undefined) throw new Error('nothing to choose from')
      return chosen
    },
    someOf: (choices, probability = 0.5) => choices.filter(() => fraction() < probability),
    chance: (probability) => fraction() < probability,
  }
}
