import type { ImpliedScope } from '../domain/explanation.ts'
import { googleScopeNames } from '../domain/google-scope-names.ts'
import { isScopeToken, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { Reading } from '../domain/result.ts'
import { closestMatch, quote } from '../domain/text.ts'

/** How it is known that whoever holds one scope may do all that another allows. */
export type ScopeEvidence =
  /** Every method of Google's discovery documents that takes the narrower scope takes the broader one too. */
  | 'discovery'
  /** Likewise but for the methods in `except`, which take the narrower scope alone; Google describes it as the narrower. */
  | 'but_for'
  /** Likewise in the documents of an API that has been withdrawn since. */
  | 'withdrawn_api'
  /** No method in discovery names it; Google's own description of the two scopes says so. */
  | 'description'
  /** Two names of one scope: consented to under the short one, granted under the long one. */
  | 'alias'

export interface ScopeEdges {
  readonly scope: string
  readonly evidence: ScopeEvidence
  /** Each with the number of methods that take it, where the evidence is one. */
  readonly implies: Readonly<Record<string, number | null>>
  /** The methods for which it is not so: whoever holds a token of the narrower scope may do these besides. */
  readonly except?: readonly string[]
}

/**
 * Which Google scope implies which, by hand and with its evidence: docs/google.md §6.3, whose numbers come from 604
 * discovery documents (google-api-python-client 2.201.0). What is not here implies nothing, however broad it sounds:
 * `cloud-platform` nothing of Drive.
 * Names are short: they follow `https://www.googleapis.com/auth/`.
 */
export const scopeCatalogue: readonly ScopeEdges[] = [
  {
    scope: 'cloud-platform',
    evidence: 'discovery',
    implies: {
      'appengine.admin': 90,
      bigquery: 443,
      'bigtable.admin': 82,
      'cloud-billing': 55,
      'cloud-platform.read-only': 845,
      cloudkms: 87,
      compute: 4480,
      container: 139,
      datastore: 121,
      'devstorage.full_control': 96,
      'firebase.readonly': 57,
      'logging.admin': 254,
      monitoring: 77,
      'ndev.clouddns.readwrite': 117,
      pubsub: 81,
      run: 135,
      'service.management': 78,
      servicecontrol: 5,
      'spanner.admin': 79,
      'spanner.data': 20,
      'sqlservice.admin': 166,
      'trace.append': 6,
      'trace.readonly': 4,
    },
  },
  { scope: 'compute', evidence: 'discovery', implies: { 'compute.readonly': 2020 } },
  {
    scope: 'devstorage.full_control',
    evidence: 'discovery',
    implies: { 'devstorage.read_only': 35, 'devstorage.read_write': 66 },
  },
  { scope: 'devstorage.full_control', evidence: 'description', implies: { 'devstorage.write_only': null } },
  { scope: 'devstorage.read_write', evidence: 'description', implies: { 'devstorage.write_only': null } },
  {
    scope: 'devstorage.read_write',
    evidence: 'but_for',
    implies: { 'devstorage.read_only': 33 },
    except: ['storage.projects.hmacKeys.get', 'storage.projects.hmacKeys.list'],
  },
  { scope: 'cloud-billing', evidence: 'discovery', implies: { 'cloud-billing.readonly': 37 } },
  { scope: 'taskqueue', evidence: 'withdrawn_api', implies: { 'taskqueue.consumer': 8 } },
  { scope: 'bigquery', evidence: 'discovery', implies: { 'bigquery.insertdata': 1 } },
  { scope: 'logging.admin', evidence: 'discovery', implies: { 'logging.read': 120, 'logging.write': 4 } },
  { scope: 'monitoring', evidence: 'discovery', implies: { 'monitoring.read': 40, 'monitoring.write': 17 } },
  { scope: 'ndev.clouddns.readwrite', evidence: 'discovery', implies: { 'ndev.clouddns.readonly': 55 } },
  { scope: 'service.management', evidence: 'discovery', implies: { 'service.management.readonly': 11 } },
  {
    scope: 'drive',
    evidence: 'discovery',
    implies: {
      documents: 4,
      'drive.file': 163,
      'drive.metadata': 63,
      'drive.readonly': 86,
      presentations: 5,
      spreadsheets: 31,
    },
  },
  {
    scope: 'drive.readonly',
    evidence: 'discovery',
    implies: {
      'documents.readonly': 1,
      'drive.metadata.readonly': 47,
      'presentations.readonly': 3,
      'spreadsheets.readonly': 10,
    },
  },
  { scope: 'drive.metadata', evidence: 'discovery', implies: { 'drive.metadata.readonly': 47 } },
  { scope: 'documents', evidence: 'discovery', implies: { 'documents.readonly': 1 } },
  { scope: 'presentations', evidence: 'discovery', implies: { 'presentations.readonly': 3 } },
  { scope: 'spreadsheets', evidence: 'discovery', implies: { 'spreadsheets.readonly': 10 } },
  { scope: 'email', evidence: 'alias', implies: { 'userinfo.email': null } },
  { scope: 'userinfo.email', evidence: 'alias', implies: { email: null } },
  { scope: 'profile', evidence: 'alias', implies: { 'userinfo.profile': null } },
  { scope: 'userinfo.profile', evidence: 'alias', implies: { profile: null } },
]

/** Scopes of OpenID Connect, which Google knows under these names and no others. */
export const bareScopes: readonly string[] = ['openid', 'email', 'profile']

const queueIsGone = "the Task Queue's REST API has been withdrawn; Cloud Tasks takes cloud-platform"

/** Scopes of APIs that are gone, and what became of them (docs/google.md §6.3). */
export const deprecatedScopes: Readonly<Record<string, string>> = {
  taskqueue: queueIsGone,
  'taskqueue.consumer': queueIsGone,
}

const prefix = 'https://www.googleapis.com/auth/'
const knownShortNames: ReadonlySet<string> = new Set([
  ...scopeCatalogue.flatMap(({ scope, implies }) => [scope, ...Object.keys(implies)]),
  ...googleScopeNames,
])
const implied = reachBy(scopeCatalogue.filter(({ except }) => except === undefined))
const impliedAlmost = reachBy(scopeCatalogue)
const none: ReadonlySet<string> = new Set()

/** What a policy's word stands for at Google: `compute.readonly` for its URL. What the catalogue has not stays itself. */
export function fullScopeName(word: string): string {
  return knownShortNames.has(word) && !bareScopes.includes(word) ? `${prefix}${word}` : word
}

/** The words that stand for a scope at Google. */
export function shortScopeNames(): readonly string[] {
  return [...knownShortNames]
}

/** The word that stands for a scope, or the scope itself where there is none. */
export function shortScopeName(scope: string): string {
  const word = scope.startsWith(prefix) ? scope.slice(prefix.length) : scope
  return knownShortNames.has(word) ? word : scope
}

/**
 * Every scope that a Google scope implies without exception, itself not included, in however many steps of the
 * catalogue.
 */
export function scopesImpliedBy(scope: string): ReadonlySet<string> {
  return implied.get(scope) ?? none
}

/** Every scope that a rule with this one may give, unless it says `implied_scopes: false`: those with exceptions too. */
export function scopesGivenBy(scope: string): ReadonlySet<string> {
  return impliedAlmost.get(scope) ?? none
}

/** Of the scopes given, those that the rule's words do not name, each with the word that implies it. */
export function impliedScopes(written: ScopeSet, given: ScopeSet): readonly ImpliedScope[] {
  const named = written.map(fullScopeName)
  return given.flatMap((scope) => {
    if (named.includes(scope)) return []
    const by =
      named.find((word) => scopesImpliedBy(word).has(scope)) ??
      named.find((word) => scopesGivenBy(word).has(scope))
    if (by === undefined) return []
    return { scope, by, except: scopesImpliedBy(by).has(scope) ? [] : exceptionsOf(by, scope) }
  })
}

function exceptionsOf(by: string, scope: string): readonly string[] {
  const isOnTheWay = ({ scope: broader, implies }: ScopeEdges) =>
    [by, ...scopesGivenBy(by)].includes(fullScopeName(broader)) &&
    Object.keys(implies).some((name) => {
      const full = fullScopeName(name)
      return full === scope || scopesGivenBy(full).has(scope)
    })
  return scopeCatalogue.filter(isOnTheWay).flatMap(({ except = [] }) => except)
}

function reachBy(edges: readonly ScopeEdges[]): ReadonlyMap<string, ReadonlySet<string>> {
  const direct = new Map(
    [...Map.groupBy(edges, ({ scope }) => fullScopeName(scope))].map(([scope, own]) => [
      scope,
      own.flatMap(({ implies }) => Object.keys(implies).map(fullScopeName)),
    ]),
  )
  const reachableFrom = (start: string): ReadonlySet<string> => {
    const found = new Set([start])
    // A set is walked to its end, what is added on the way included.
    for (const scope of found) for (const next of direct.get(scope) ?? []) found.add(next)
    found.delete(start)
    return found
  }
  return new Map([...direct.keys()].map((scope) => [scope, reachableFrom(scope)]))
}

export interface ScopesInUse {
  /** As the rule's author wrote them. */
  readonly written: ScopeSet
  /** As tokens carried them. */
  readonly used: ScopeSet
  readonly upstream: string
  /** Whether the rule gives what its scopes imply. */
  readonly givesImplied: boolean
}

/** The least scopes of a rule that would still have given all that was used, in the words of the rule. */
export function enoughScopes({ written, used, upstream, givesImplied }: ScopesInUse): ScopeSet {
  if (upstream !== 'google') return used
  const needed = givesImplied
    ? used.filter((scope) => !used.some((other) => isBroader(other, scope, used)))
    : used
  return scopeSet(
    needed.map((scope) => written.find((word) => fullScopeName(word) === scope) ?? shortScopeName(scope)),
  )
}

/** Of two names of one scope the first stays. */
function isBroader(other: string, scope: string, used: ScopeSet): boolean {
  if (!scopesGivenBy(other).has(scope)) return false
  return !scopesGivenBy(scope).has(other) || used.indexOf(other) < used.indexOf(scope)
}

type ReadScopes = (upstream: string, words: readonly string[]) => Reading<ScopeSet>

/**
 * Scopes as a person writes them: at Google a short name stands for its URL. A fault for each word that is neither, of
 * the first ten.
 */
export const readScopes: ReadScopes = (upstream, words) => {
  const faults: string[] = []
  const known = new Set(upstream === 'google' ? [...shortScopeNames(), ...bareScopes] : [])
  for (const word of words) {
    const fault = faultOf(word, known)
    if (fault !== undefined) faults.push(`scopes: ${quote(word)} ${fault}`)
    if (faults.length === faultsMax) break
  }
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, value: scopeSet(upstream === 'google' ? words.map(fullScopeName) : words) }
}

/** Nobody reads more, and what was meant takes a look at each name there is. */
const faultsMax = 10

/** Of an upstream that is not Google no names are known. */
function faultOf(word: string, known: ReadonlySet<string>): string | undefined {
  if (!isScopeToken(word)) return 'is no scope'
  if (known.size === 0 || word.includes('://') || known.has(word)) return undefined
  const meant = closestMatch(word, [...known])
  const hint = meant === undefined ? 'write the scope as a URL' : `did you mean ${quote(meant)}?`
  return `is no scope of Google: ${hint}`
}
