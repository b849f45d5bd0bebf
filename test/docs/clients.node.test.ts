import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Attempt } from '../../infra/clients/attempt.ts'
import { attemptsOf } from '../../infra/clients/clients.ts'
import type { ClientsWorld } from '../../infra/clients/world.ts'
import { languages } from '../../infra/clients/toolchains.ts'
import { repository } from '../support/run-node.ts'

const nothing = (): never => {
  throw new Error('nothing is run here')
}
const world: ClientsWorld = {
  folder: '/nowhere',
  url: 'http://127.0.0.1:1',
  storage: { url: 'http://127.0.0.1:2', close: nothing, lastToken: nothing },
  keyFiles: { jwk: '/nowhere/jwk', pem: '/nowhere/pem' },
  jwtFile: '/nowhere/jwt',
  jwtUrl: 'http://127.0.0.1:3/jwt',
  account: 'reports@acme.iam.gserviceaccount.com',
  agent: '127.0.0.1:4',
  openTls: nothing,
  recorded: nothing,
  missing: nothing,
  close: nothing,
}
const environments = { file: {}, url: {}, executable: {}, impersonation: {}, metadata: {}, ticket: {} }

/** gcloud and curl are whatever the machine has. */
const versions = { gcloud: 'any', curl: 'any' }
const cells = ({ client, version, way, expected }: Attempt): readonly string[] => [
  client,
  /^(?:gcloud|curl)/.test(client) ? 'any' : version,
  way,
  expected,
]

test('the table of clients has a row for each attempt of the matrix, with its version and what must be recorded', () => {
  const document = readFileSync(join(repository, 'docs/clients.md'), 'utf8')
  // Rust is opt-in, because it builds for minutes.
  const asked = languages.filter((name) => name !== 'rust' || document.includes('| Rust google-cloud-auth |'))
  const attempts = attemptsOf({
    world,
    environments,
    versions,
    folders: new Map(asked.map((language) => [language, '/nowhere'])),
    behindTls: { environments, trustStore: '/nowhere/trust.p12' },
  })
  const [, , ...rows] = document
    .slice(document.indexOf('| Client | Version |'))
    .split('\n\n', 1)
    .join('')
    .trim()
    .split('\n')
  const shown = rows.map((row) => row.slice(2, -2).split(' | '))

  expect(attempts.length).toBeGreaterThan(60)
  expect(
    shown.map(([client = '', version = '', way = '', expected = '']) =>
      cells({ client, version, way, expected, run: nothing }),
    ),
  ).toEqual(attempts.map(cells))
  for (const [client, version] of shown)
    expect([client, version]).toEqual([client, expect.stringMatching(/^\d+\./)])
  expect(new Set(attempts.map(({ client, version, way }) => [client, version, way].join())).size).toBe(
    attempts.length,
  )
})
