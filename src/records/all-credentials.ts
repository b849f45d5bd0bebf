import type { CredentialSummary } from '../domain/credential.ts'
import type { CredentialPage, Credentials } from './credentials.ts'

const pageSize = 200

/** Every credential that can be read, by name, however many there are. Throws what `list` throws. */
export async function listAllCredentials(
  credentials: Pick<Credentials, 'list'>,
): Promise<readonly CredentialSummary[]> {
  const all: CredentialSummary[] = []
  for await (const credential of eachCredential(credentials)) all.push(credential)
  return all
}

/** The same one by one: whoever has found what he looks for reads no further page. */
export async function* eachCredential(
  credentials: Pick<Credentials, 'list'>,
  more: Pick<CredentialPage, 'onMalformed'> = {},
): AsyncGenerator<CredentialSummary, void> {
  let from: Pick<CredentialPage, 'after'> = {}
  for (;;) {
    const page = await credentials.list({ ...more, ...from, limit: pageSize })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    from = { after: last.name }
  }
}
