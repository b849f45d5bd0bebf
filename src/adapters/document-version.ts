import type { Version } from '../ports/document-store.ts'

// A brand has no run-time form: this is the only place where an adapter's text becomes a version.
export const documentVersion = (text: string): Version => text as Version
