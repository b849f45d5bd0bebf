import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { layers } from '../support/architecture.ts'
import { exists, readPage } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

describe('src/README.md', () => {
  const map = readPage('src/README.md')
  const rows = [...map.matchAll(/^\| (.+?) \| (.+?) \| (.+?) \|$/gm)].map(
    ([, name = '', where = '', may = '']) => ({
      names: name.replace(/:.*/, '').split(', '),
      paths: [...where.matchAll(/`([\w/-]+(?:\/|\.ts))`/g)].map(([, path]) => `src/${path}`),
      may,
    }),
  )

  test.each(layers.map((layer) => ({ name: layer.name, layer })))(
    'tells of $name where it is and what it may import, as the architecture test holds it',
    ({ name, layer }) => {
      const row = rows.find(({ names }) => names.includes(name))
      const [own = '', types = ''] = (row?.may ?? '')
        .replace(/; (?:of another module|modules arrive).*/, '')
        .split(/(?:; |^)types of /)

      expect(row?.paths.some((path) => layer.where.test(path.replace(/\/$/, '/x.ts')))).toBe(true)
      expect(namedIn(own)).toEqual(layer.from.toSorted())
      expect(namedIn(types)).toEqual([...(layer.typesFrom ?? [])].toSorted())
    },
  )

  test('names every folder of the adapters, and no file that is not there', () => {
    const folders = readdirSync(join(repository, 'src/adapters'), { withFileTypes: true })
    const missing = folders.filter((entry) => entry.isDirectory() && !map.includes(`\`${entry.name}/`))
    const files = [...map.matchAll(/`((?:\w+\/)?[\w/-]+\.ts)`/g)].map(([, file]) => file ?? '')

    expect(missing).toEqual([])
    expect(files.filter((file) => !exists(`src/${file}`) && !exists(file))).toEqual([])
    expect(files.length).toBeGreaterThan(10)
  })

  const namedIn = (words: string): readonly string[] => {
    const all = layers
      .map(({ name }) => name)
      .filter((name) => name !== 'entry points' && name !== 'command line')
    const modules = rows.find(({ names }) => names.includes('minting'))?.names ?? []
    if (words === 'everything') return all.toSorted()
    const named = words.split(', ').flatMap((name) => (name === 'modules' ? modules : [name]))
    return all.filter((name) => named.includes(name)).toSorted()
  }
})
