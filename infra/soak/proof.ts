import { createTestWorld, type TestWorld } from '../../test/support/test-broker/test-world.ts'

/** Proves one promise at its real size; gives back what was not as promised. `say` prints a line. */
export type Proof = (say: (line: string) => void) => Promise<readonly string[]>

/** A proof in a world of its own, which is closed however the proof ends. */
export function inTestWorld(run: (world: TestWorld, ...told: Parameters<Proof>) => ReturnType<Proof>): Proof {
  return async (say) => {
    const world = await createTestWorld()
    try {
      return await run(world, say)
    } finally {
      await world.close()
    }
  }
}
