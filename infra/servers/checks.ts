/** What one server was seen to do; each check prints a line, and a failed one is a fault of the run. */
export interface Checks {
  readonly say: (line: string) => void
  readonly faults: readonly string[]
  /** Runs one check; what it throws is its fault, and the next one goes on. */
  readonly check: (name: string, run: () => Promise<void>) => Promise<void>
}

export function createChecks(say: (line: string) => void): Checks {
  const faults: string[] = []
  return {
    say,
    faults,
    check: async (name, run) => {
      try {
        await run()
        say(`ok      ${name}`)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        faults.push(`${name}: ${why}`)
        say(`FAILED  ${name}: ${why}`)
      }
    },
  }
}

/** Throws with both unless they are alike as JSON. */
export function same(found: unknown, wanted: unknown, about = ''): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (one !== other) throw new Error(`${one}, and not ${other} ${about}`)
}
