import { storedNamePattern } from './parse-admin-request.ts'

/**
 * The router's pattern of a path template: `/v1/admin/credentials/{name}:disable` has the verb in its last segment, and
 * the router knows only whole segments, so that a parameter takes the verb along.
 */
export function routePattern(template: string): string {
  return template.replaceAll(
    /\{(?<name>\w+)\}(?<verb>:\w+)?/g,
    (_, name: string, verb: string | undefined) => `:${name}{${storedNamePattern}${verb ?? ''}}`,
  )
}

/** A parameter without the verb. Throws TypeError for one that the template does not have. */
export function pathParameter(value: string | undefined, name: string): string {
  if (value === undefined) throw new TypeError(`the path has no {${name}}`)
  const colon = value.indexOf(':')
  return colon === -1 ? value : value.slice(0, colon)
}
