import { isMembers } from '../domain/json-object.ts'
import { parseCredentialPage, type CredentialAnswer } from './admin-answers.ts'
import type { AdminClient } from './admin-client.ts'

/** All that are enrolled, page by page; `documents` are they as they came. */
export async function allCredentials(client: AdminClient): Promise<{
  readonly credentials: readonly CredentialAnswer[]
  readonly documents: readonly unknown[]
}> {
  const credentials: CredentialAnswer[] = []
  const documents: unknown[] = []
  let after: string | undefined
  do {
    const query: string = after === undefined ? '' : `&after=${encodeURIComponent(after)}`
    const { value, document } = await client.ask({
      method: 'GET',
      path: `credentials?limit=500${query}`,
      parse: parseCredentialPage,
    })
    credentials.push(...value.credentials)
    documents.push(...documentsIn(document))
    after = value.next_after
  } while (after !== undefined)
  return { credentials, documents }
}

function documentsIn(page: unknown): readonly unknown[] {
  const list = isMembers(page) ? page['credentials'] : undefined
  return Array.isArray(list) ? list : []
}
