import type { CredentialSummary } from '../domain/credential.ts'
import type { Credentials } from './credentials.ts'

const pageSize = 200

/** Every credential that can be read, by name, however many there are. Throws what `list` throws. */
export async function listAllCredentials(
  credentials: Pick<Credentials, 'list'>,
): Promise<readonly CredentialSummary[]> {
  const all: CredentialSummary[] = []
  for (;;) {
    const after = all.at(-1)?.name
    const page = await credentials.list({ limit: pageSize, ...(after === undefined ? {} : { after }) })
    all.push(...page)
    if (page.length < pageSize) return all
  }
}
