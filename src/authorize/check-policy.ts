import type { Json } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { PolicyWarning } from '../domain/policy-warning.ts'
import { quote } from '../domain/quote.ts'
import { warnOfBoundary } from './check-boundary.ts'
import { warnOfCallers } from './check-callers.ts'
import { warnOfCredential } from './check-credential-use.ts'
import { warnOfAccessTokens, warnOfIssuer, type IssuersWithoutJti } from './check-issuers.ts'
import { warnOfScopes } from './check-scopes.ts'
import { warnOfShadows } from './check-shadows.ts'
import { isList, memberOf } from './json-member.ts'
import type { ReadPolicy } from './parse-policy.ts'
import { describePath, type Path, type Report } from './policy-faults.ts'
import type { RuleContext } from './rule-context.ts'

/**
 * What is allowed in this policy and probably not meant, in the order of the document: rules that are broader than they
 * need to be or that are never reached, scopes that are deprecated, misspelt or were never consented to, promises that
 * a rule's credential cannot keep. Without `credentials`, which is all that are enrolled, nothing that depends on them.
 */
export function checkPolicy(
  { policy, text }: ReadPolicy,
  credentials?: readonly CredentialSummary[],
  withoutJti: IssuersWithoutJti = new Set(),
): readonly PolicyWarning[] {
  const warnings: PolicyWarning[] = []
  const warn: Report = (path, message, at = 'value') => {
    const { line, col } = text.locate(path, at)
    warnings.push({ line, column: col, path: describePath(path), text: message })
  }
  const known = new Map(credentials?.map((credential) => [credential.name, credential]))

  for (const [index, issuer] of policy.issuers.entries())
    warnOfIssuer(issuer, { path: ['issuers', index], warn, withoutJti })
  for (const [index, rule] of policy.rules.entries()) {
    const credential = known.get(rule.credential)
    const about: RuleContext = {
      policy,
      rule,
      ...(credential === undefined ? {} : { credential }),
      path: ['rules', index],
      warn,
      pathOfScope: (scope) => pathOfItem(text.value, ['rules', index, 'scopes'], scope),
    }
    if (credentials !== undefined && credential === undefined)
      warn([...about.path, 'credential'], `no credential ${quote(rule.credential)} is enrolled`)
    warnOfCallers(rule.callers, about)
    warnOfAccessTokens(rule.callers, { issuers: policy.issuers, path: about.path, warn })
    warnOfScopes(about)
    warnOfBoundary(about)
    if (credential !== undefined) warnOfCredential({ ...about, credential, known })
  }
  warnOfShadows(policy, warn)
  return warnings.toSorted((one, other) => one.line - other.line || one.column - other.column)
}

/** A list's item by its text, for what was read of a list may have another order. */
function pathOfItem(value: Json, path: Path, item: string): Path {
  let list: Json | undefined = value
  for (const step of path) list = list === undefined ? undefined : memberOf(list, String(step))
  const index = list !== undefined && isList(list) ? list.indexOf(item) : -1
  return index === -1 ? path : [...path, index]
}
