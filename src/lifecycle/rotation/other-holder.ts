import type { VersionState } from '../../domain/credential.ts'
import type { Credentials } from '../../records/credentials.ts'

const pageSize = 200
const used: ReadonlySet<VersionState> = new Set<VersionState>(['candidate', 'active', 'retiring'])

/**
 * Another credential that draws on the same key: one file may have been enrolled under two names, and what is withdrawn
 * for the one would be gone for the other.
 */
export async function otherHolder(
  credentials: Pick<Credentials, 'list'>,
  { name, keyId }: { readonly name: string; readonly keyId: string },
): Promise<string | undefined> {
  let after: string | undefined
  for (;;) {
    const page = await credentials.list({ ...(after === undefined ? {} : { after }), limit: pageSize })
    const other = page.find(
      (one) => one.name !== name && one.versions.some((held) => held.keyId === keyId && used.has(held.state)),
    )
    if (other !== undefined) return other.name
    after = page.at(-1)?.name
    if (after === undefined) return undefined
  }
}
