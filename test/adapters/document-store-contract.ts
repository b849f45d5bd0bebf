import { describe } from 'vitest'
import { describeConditions } from './document-store-contract/conditions.ts'
import { describeDeletion, describeExpiry } from './document-store-contract/expiry-and-deletion.ts'
import { describeLists } from './document-store-contract/lists.ts'
import { describeRefusals } from './document-store-contract/refusals.ts'
import { createOpenScene, type OpenStore } from './document-store-contract/scene.ts'
import { describeValues } from './document-store-contract/values.ts'

/** What `src/ports/document-store.ts` promises, word by word; every adapter runs it. `open` gives an empty store. */
export function describeDocumentStore(name: string, open: OpenStore): void {
  const scene = createOpenScene(open)

  describe(`the document store: ${name}`, () => {
    describeValues(scene)
    describeConditions(scene)
    describeExpiry(scene)
    describeDeletion(scene)
    describeLists(scene)
    describeRefusals(scene)
  })
}
