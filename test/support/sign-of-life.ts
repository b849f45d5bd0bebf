import type { DocumentStore } from '../../src/ports/document-store.ts'

/** For stores whose deadlines are not what a test is about: a busy machine may take longer than three seconds. */
export const patientMs = 50_000

/** On a machine whose cores are busy the first call of a connection may take longer than a store waits. */
const patienceMs = 120_000

/** Returns when the store writes, reads and lists; throws what it says when it does not within two minutes. */
export async function awaitSignOfLife(store: DocumentStore): Promise<void> {
  const endMs = performance.now() + patienceMs
  for (;;) {
    try {
      await store.put('things/sign-of-life', {})
      await store.get('things/sign-of-life')
      await store.list({ prefix: 'things/', limit: 1 })
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
    }
  }
}
