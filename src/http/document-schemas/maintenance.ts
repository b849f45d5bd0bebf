import * as z from 'zod/mini'

/** What `maintenance:run` shows. */
export const maintenanceSchema = z.object({
  /** The credentials whose rotation was begun because it was due. */
  begun: z.array(z.string()),
  /** Where the rotations under way stand; `over` is the end. */
  rotations: z.array(z.object({ credential: z.string(), step: z.string(), reason: z.optional(z.string()) })),
  /** Former versions, of which nothing is left. */
  removed: z.array(z.object({ credential: z.string(), version: z.string() })),
  /** Credentials that nobody used lately, and whether they work. */
  probed: z.array(z.object({ credential: z.string(), works: z.boolean() })),
  swept: z.object({ deleted: z.int(), more_left: z.boolean() }),
  /** What the next run tries again. */
  faults: z.array(z.object({ task: z.string(), credential: z.optional(z.string()), reason: z.string() })),
  more_left: z.boolean(),
})

export type MaintenanceDocument = z.input<typeof maintenanceSchema>
