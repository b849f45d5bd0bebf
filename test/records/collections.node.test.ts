import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ttlField } from '../../src/adapters/firestore/firestore-document.ts'
import { collections } from '../../src/records/collections.ts'
import { repository } from '../support/run-node.ts'

const expiring = collections.filter(({ expires }) => expires).map(({ name }) => name)

describe('the table of collections', () => {
  test('has every collection that the records are kept in, and no other', () => {
    const folder = join(repository, 'src/records')
    const sources = readdirSync(folder).filter((file) => file !== 'collections.ts')
    const named = sources.flatMap((file) => {
      const code = readFileSync(join(folder, file), 'utf8').replaceAll(/^.*\bfrom '.*$/gm, '')
      return [...code.matchAll(/['`]([a-z]+)\/(?:['`]|\$\{|[a-z-]+['`$])/g)].map(([, name]) => name)
    })

    expect(sources.length).toBeGreaterThan(20)
    expect(new Set(named)).toEqual(new Set(collections.map(({ name }) => name)))
  })

  test.each(['docs/deploy-cloud-run.md', 'docs/deploy-workers.md'])(
    'is what %s sets TTL policies by',
    (guide) => {
      const text = readFileSync(join(repository, guide), 'utf8')
      const loop = /for collection in ([a-z ]+); do\n\s+gcloud firestore fields ttls update (\w+) /.exec(text)

      expect(loop?.[2]).toBe(ttlField)
      expect(new Set(loop?.[1]?.split(' '))).toEqual(new Set(expiring))
    },
  )
})
