import { load } from 'js-yaml'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { repository } from '../support/run-node.ts'

/** Linters of workflows see the rest: infra/linters.sh. */
const folder = join(repository, '.github/workflows')
const texts = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
const step = z.object({ uses: z.string().optional(), run: z.string().optional() })
const job = z.object({
  needs: z.string().optional(),
  permissions: z.record(z.string(), z.string()),
  environment: z.string().optional(),
  steps: z.array(step).optional(),
})
const release = z
  .object({
    on: z.object({ push: z.object({ tags: z.array(z.string()) }) }),
    jobs: z.record(z.string(), job),
  })
  .parse(load(texts.find(({ name }) => name === 'release.yml')?.text ?? ''))

describe('the workflows', () => {
  test.each(texts)('$name takes each action by its commit, and says which version that is', ({ text }) => {
    const used = [...text.matchAll(/uses: (\S+)(.*)$/gm)].filter(
      ([, action = '']) => !action.startsWith('./'),
    )

    expect(used.length).toBeGreaterThan(1)
    for (const [, action, comment] of used) {
      expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/)
      expect(comment).toMatch(/^ # v\d+\.\d+\.\d+$/)
    }
  })
})

describe('a release', () => {
  const { checks, build, npm, github } = release.jobs
  const programs = (one?: z.infer<typeof job>) => (one?.steps ?? []).map(({ run = '' }) => run).join('\n')

  test('comes from a tag, after every gate, and nothing of it goes past a failure', () => {
    expect(release.on.push.tags).toEqual(['v[0-9]+.[0-9]+.[0-9]+'])
    expect(Object.keys(release.jobs)).toEqual(['checks', 'build', 'npm', 'github'])
    expect([checks, build, npm, github].map((one) => one?.needs)).toEqual([
      undefined,
      'checks',
      'build',
      'npm',
    ])
  })

  test('what runs code of packages may not publish, and what publishes runs none', () => {
    expect(build?.permissions).toEqual({ contents: 'read' })
    expect(programs(build)).toContain('npm ci')
    expect(npm?.permissions).toEqual({ contents: 'read', 'id-token': 'write' })
    expect(npm?.environment).toBe('npm')
    expect(github?.permissions).toEqual({ contents: 'write' })
    for (const one of [npm, github]) expect(programs(one)).not.toMatch(/npm (?:ci|install|run)|npx/)
  })

  test('has a provenance, a bill of materials and checksums', () => {
    expect(programs(npm)).toMatch(/sha256sum --check SHA256SUMS\nnpm publish --provenance --access public/)
    expect(programs(build)).toMatch(/npm run --silent sbom > release\/\S+\.cdx\.json/)
    expect(programs(build)).toContain('sha256sum -- * > SHA256SUMS')
  })
})
