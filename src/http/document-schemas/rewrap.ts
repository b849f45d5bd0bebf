import * as z from 'zod/mini'

/** `after` is there when there is more and goes into `?after=`; `still_in_use` counts what was looked at. */
export const rewrapSchema = z.object({
  sealing_key: z.string(),
  rewrapped: z.int(),
  already: z.int(),
  passing: z.int(),
  failed: z.array(z.object({ key: z.string(), reason: z.string() })),
  still_in_use: z.array(z.object({ key_id: z.string(), records: z.int(), until: z.optional(z.string()) })),
  after: z.optional(z.string()),
})

export type RewrapDocument = z.input<typeof rewrapSchema>
