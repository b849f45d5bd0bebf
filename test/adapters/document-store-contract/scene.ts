import { epochSeconds, type EpochSeconds } from '../../../src/domain/time.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { DocumentStore, Stored } from '../../../src/ports/document-store.ts'
import { onTestFinished } from 'vitest'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'

/** A store that nothing else writes to, empty. */
export interface OpenedStore {
  readonly store: DocumentStore
  readonly close: () => void | Promise<void>
}

export type OpenStore = (deps: { readonly clock: Clock }) => OpenedStore | Promise<OpenedStore>

export interface Scene {
  readonly store: DocumentStore
  readonly clock: FakeClock
  /** The instant `seconds` from now by the fake clock. */
  readonly at: (seconds: number) => EpochSeconds
}

export type OpenScene = () => Promise<Scene>

/** Opens a store for one test and closes it afterwards. */
export function createOpenScene(open: OpenStore): OpenScene {
  return async () => {
    const clock = createFakeClock()
    const { store, close } = await open({ clock })
    onTestFinished(async () => {
      await close()
    })
    return { store, clock, at: (seconds) => epochSeconds(clock.now() + seconds) }
  }
}

export const key = 'things/one'

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

export function keysOf(stored: readonly Stored[]): readonly string[] {
  return stored.map((each) => each.key)
}

export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value was expected')
  return value
}
