/** An account that the agent plays. */
export interface Account {
  /** What clients ask for: `default`, unless there are several. */
  readonly alias: string
  readonly credential: string
  readonly email: string
}

/** What does not change while the agent runs. */
export interface MetadataPlace {
  readonly accounts: readonly Account[]
  readonly projectId?: string | undefined
  readonly projectNumber?: string | undefined
}

/** What a request asks for. */
export type MetadataRequest =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'token'; readonly account: Account; readonly scopes: readonly string[] }
  | { readonly kind: 'plain token'; readonly account: Account; readonly scopes: readonly string[] }
  | { readonly kind: 'identity'; readonly account: Account; readonly audience: string }
  | { readonly kind: 'scopes'; readonly account: Account }
  | { readonly kind: 'account'; readonly account: Account }
  | { readonly kind: 'accounts' }
  | { readonly kind: 'health' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'malformed'; readonly reason: string }

const root = '/computeMetadata/v1/'
const accountMembers = ['aliases', 'email', 'identity', 'scopes', 'token'] as const

/**
 * The metadata server's paths as Google's client libraries use them (WIRE §4.2), `/v1/token` for any other program,
 * and `/healthz`. Everything else is missing, as on a machine that does not have it.
 */
export function readMetadataRequest(
  path: string,
  query: URLSearchParams,
  place: MetadataPlace,
): MetadataRequest {
  for (const name of ['scopes', 'scope', 'audience', 'account', 'recursive'])
    if (query.getAll(name).length > 1) return malformed(`${name} is given twice`)
  if (path === '/') return text('computeMetadata/\n')
  if (path === '/healthz') return { kind: 'health' }
  if (path === '/v1/token') return readPlainToken(query, place)
  // What stands behind a token's path is a mistake or a trick, and never another token (DESIGN §3.6).
  if (path.includes('/token/')) return malformed('nothing stands behind token')
  if (path === '/computeMetadata' || path === '/computeMetadata/') return text('v1/\n')
  if (path === root.slice(0, -1)) return text('instance/\nproject/\nuniverse/\n')
  if (!path.startsWith(root)) return { kind: 'missing' }
  const rest = path.slice(root.length)
  if (rest.startsWith('instance/service-accounts')) return readAccounts(rest, query, place)
  if (query.has('recursive') || query.has('wait_for_change')) return { kind: 'missing' }
  return readValue(rest, place)
}

function readValue(rest: string, { projectId, projectNumber }: MetadataPlace): MetadataRequest {
  switch (rest) {
    case '':
      return text('instance/\nproject/\nuniverse/\n')
    case 'instance':
    case 'instance/':
      return text('service-accounts/\n')
    case 'project':
    case 'project/':
      return text('numeric-project-id\nproject-id\n')
    case 'project/project-id':
      return projectId === undefined ? { kind: 'missing' } : text(projectId)
    case 'project/numeric-project-id':
      return projectNumber === undefined ? { kind: 'missing' } : text(projectNumber)
    // x/oauth2 of Go asks with the underscore.
    case 'universe/universe-domain':
    case 'universe/universe_domain':
      return text('googleapis.com')
    default:
      return { kind: 'missing' }
  }
}

function readAccounts(rest: string, query: URLSearchParams, place: MetadataPlace): MetadataRequest {
  const [, , name = '', member = '', ...more] = rest.split('/')
  if (rest !== 'instance/service-accounts' && !rest.startsWith('instance/service-accounts/'))
    return { kind: 'missing' }
  const isRecursive = query.get('recursive')?.toLowerCase() === 'true'
  if (name === '') {
    if (isRecursive) return { kind: 'accounts' }
    return text(place.accounts.map((account) => `${listedName(account)}/\n`).join(''))
  }
  const account = findAccount(name, place)
  if (account === undefined || more.length > 0) return { kind: 'missing' }
  switch (member) {
    case '':
      return isRecursive
        ? { kind: 'account', account }
        : text(accountMembers.map((one) => `${one}\n`).join(''))
    case 'aliases':
      return text(`${account.alias}\n`)
    case 'email':
      return text(account.email)
    case 'scopes':
      return { kind: 'scopes', account }
    case 'token':
      return { kind: 'token', account, scopes: words(query.get('scopes')) }
    case 'identity': {
      const audience = query.get('audience') ?? ''
      return audience === ''
        ? malformed('non-empty audience parameter required')
        : { kind: 'identity', account, audience }
    }
    default:
      return { kind: 'missing' }
  }
}

/** gcloud takes each name in the list for an account, and knows `default` alone for another name of one. */
function listedName({ alias, email }: Account): string {
  return alias === 'default' ? `default/\n${email}` : email
}

function readPlainToken(query: URLSearchParams, place: MetadataPlace): MetadataRequest {
  const account = findAccount(query.get('account') ?? 'default', place)
  if (account === undefined) return { kind: 'missing' }
  return { kind: 'plain token', account, scopes: words(query.get('scope')) }
}

function findAccount(name: string, { accounts }: MetadataPlace): Account | undefined {
  return accounts.find(({ alias, email }) => alias === name || email === name)
}

/** Metadata clients separate with commas, OAuth with spaces. */
function words(list: string | null): readonly string[] {
  return (list ?? '').split(/[ ,]+/).filter((word) => word !== '')
}

function text(value: string): MetadataRequest {
  return { kind: 'text', text: value }
}

function malformed(reason: string): MetadataRequest {
  return { kind: 'malformed', reason }
}
