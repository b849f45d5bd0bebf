import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createEntropy, createSystemClock } from '../../adapters/system/clock-and-entropy.ts'
import { createSqliteStore } from '../../adapters/sqlite/sqlite-store.ts'
import { judgePolicy } from '../../policy/policy-warnings.ts'
import { createPolicies, type Policies } from '../../records/policies.ts'
import { createFault } from '../fault.ts'

export interface PolicyPlaces {
  readonly file: string
  /** The path of the SQLite store. */
  readonly store: string
  /** The broker's public URL. */
  readonly broker: string
  /** For whoever edits the file: what was done with it, or its faults, each with its place. */
  readonly say: (lines: readonly string[]) => void
}

const lookMs = 250

/**
 * Keeps a policy file and the policy in a store the same: a change of either is in the other within a second, and the store
 * keeps every version. A file with faults changes nothing. Resolves with the function that ends it, once the store has
 * a policy; throws for a first file with faults.
 */
export async function keepPolicyFile(places: PolicyPlaces): Promise<() => Promise<void>> {
  const clock = createSystemClock()
  const { store, close } = createSqliteStore({ path: places.store, clock })
  const policies = createPolicies({ store, clock, newId: createEntropy().uuid })
  const ending = new AbortController()
  try {
    const look = await beginToLook(places, policies)
    const watching = watch(look, places, ending.signal)
    return async () => {
      ending.abort()
      await watching
      close()
    }
  } catch (error) {
    close()
    throw error
  }
}

async function beginToLook(places: PolicyPlaces, policies: Policies): Promise<() => Promise<void>> {
  const { file, broker, say } = places
  const name = basename(file)
  const faultsOf = (text: string): readonly string[] => {
    const judged = judgePolicy({ text, origin: name, brokerIssuer: broker })
    return judged.ok ? [] : judged.lines
  }

  let seen = readFileSync(file, 'utf8')
  const [newest] = await policies.history()
  let inForce = newest
  if (newest === undefined) {
    const faults = faultsOf(seen)
    if (faults.length > 0) throw createFault('refused', faults.join('\n'))
    const { revision } = await policies.apply({ text: seen, expected: undefined, by: name })
    inForce = await policies.version(revision)
  } else if (newest.text !== seen && statSync(file).mtimeMs < (newest.appliedAt + 1) * 1000) {
    // Of two that were changed while nobody looked, the later one counts.
    writeFileSync(file, newest.text)
  }
  let synced = inForce?.text
  let refused: string | undefined

  return async () => {
    const newer = await policies.read(inForce?.revision)
    if (newer !== undefined) inForce = await policies.version(newer.revision)
    const text = readFileSync(file, 'utf8')
    const isWritten = text === seen
    seen = text
    if (text === synced) {
      if (inForce === undefined || inForce.text === text) return
      writeFileSync(file, inForce.text)
      synced = inForce.text
      say([`${name} has what ${inForce.by} applied`])
      return
    }
    // A text counts when two looks find it: none is half written then.
    if (!isWritten || text === refused) return
    const faults = faultsOf(text)
    if (faults.length > 0) {
      refused = text
      say([...faults, `${name} has faults: the policy before stays in force`])
      return
    }
    await policies.apply({ text, expected: inForce?.revision, by: name })
    synced = text
    say([`${name} is applied`])
  }
}

async function watch(look: () => Promise<void>, { say }: PolicyPlaces, signal: AbortSignal): Promise<void> {
  let last = ''
  while (!signal.aborted) {
    try {
      await look()
      last = ''
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (message !== last) say([message])
      last = message
    }
    await pause(lookMs, undefined, { signal }).catch(() => undefined)
  }
}
