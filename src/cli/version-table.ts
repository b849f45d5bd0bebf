import type { VersionAnswer } from './admin-answers.ts'
import type { Paint } from './paint.ts'
import { plain, table } from './table.ts'

export function versionTable(versions: readonly VersionAnswer[], paint: Paint): string {
  const isAnyRemoved = versions.some(({ removal }) => removal !== undefined)
  const names = ['VERSION', 'STATE', 'SINCE', 'KEY', ...(isAnyRemoved ? ['REMOVED'] : [])]
  const heading = names.map((word) => paint.bold(word))
  const rows = versions.map(({ id, state, changed_at: since, key_id: key, removal }) => [
    plain(id),
    stateWord(state, paint),
    plain(since),
    plain(key ?? '-'),
    ...(isAnyRemoved ? [plain(removal?.due_at ?? '-')] : []),
  ])
  return table([heading, ...rows])
}

/** The state of a credential or of a version. */
export function stateWord(state: string, { good, bad, dim }: Paint): string {
  switch (state) {
    case 'enabled':
    case 'active':
      return good(state)
    case 'disabled':
    case 'revoked':
      return bad(state)
    default:
      return dim(plain(state))
  }
}
