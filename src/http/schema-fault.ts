import type * as z from 'zod/mini'

type Issue = z.core.$ZodIssue

/**
 * The first fault of a body or query in words, for whoever sent it: it names the member and never a value, nor a name
 * that we do not know (P23). `members` are those that the whole may have.
 */
export function faultOf(
  { issues }: z.core.$ZodError,
  whole: string,
  members: readonly string[] = [],
): string {
  const [issue] = issues
  if (issue === undefined) return `${whole} is not valid`
  const place = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys' && place === '')
    return `${whole} may have only the members ${members.join(', ')}`
  return `${place === '' ? whole : place} ${complaint(issue)}`
}

function complaint(issue: Issue): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return 'has an unknown member'
    case 'invalid_type':
      return `is missing, or no ${issue.expected}`
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'invalid_format':
      return issue.pattern === undefined ? 'is not valid' : `must match ${issue.pattern}`
    case 'too_small':
      return `must be at least ${String(issue.minimum)}`
    case 'too_big':
      return `must be at most ${String(issue.maximum)}`
    case 'custom':
      return issue.message
    default:
      return 'is not valid'
  }
}
