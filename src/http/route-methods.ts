/** Every method that some route takes; HEAD and OPTIONS come by themselves. */
export const routeMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export type RouteMethod = (typeof routeMethods)[number]
