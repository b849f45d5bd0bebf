/**
 * What is wrong with the path of a request target, as it was sent; `undefined` when it has the one spelling that a
 * proxy's rule on the raw path would see too. Refused are the absolute form (RFC 9112 §3.2.2), escapes of characters
 * that need none (RFC 3986 §2.3), broken escapes, and empty, `.` and `..` segments. A slash at the end is another path.
 */
export function pathFault(target: string): string | undefined {
  const end = target.search(/[?#]/)
  const path = end === -1 ? target : target.slice(0, end)
  if (!path.startsWith('/')) return 'the request target must begin with /'
  if (path.includes('\\')) return 'the path must have no backslash'
  if (path.includes('//') || dotSegment.test(path)) return 'the path must have no empty, . or .. segment'
  if (unreservedEscaped.test(path)) return 'the path must escape no character that needs none'
  return brokenEscape.test(path) ? 'the path has a broken escape' : undefined
}

const dotSegment = /\/\.{1,2}(?:\/|$)/
/** Of a letter, a digit, or one of - . _ ~ */
const unreservedEscaped = /%(?:2d|2e|5f|7e|3\d|4[1-9a-f]|5[\da]|6[1-9a-f]|7[\da])/i
const brokenEscape = /%(?![\da-f]{2})/i

/** The path and query of an absolute URL, as they are written there. */
export function targetIn(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start === -1 ? '/' : url.slice(start)
}
