import * as z from 'zod/mini'

/** RFC 3339, in UTC. */
export const timestamp = z.string()
