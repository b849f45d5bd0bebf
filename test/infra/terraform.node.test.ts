import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import {
  judgeModule,
  parseHcl,
  parseModule,
  readModuleFiles,
  renderTables,
} from '../../infra/terraform/judge-module.ts'
import { readSchema } from '../../infra/terraform/provider-schema.ts'
import { ttlField } from '../../src/adapters/firestore/firestore-document.ts'
import { readSettings } from '../../src/config.ts'
import { settingsTable } from '../../src/config/settings-table.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { collections } from '../../src/records/collections.ts'
import { brokerIssuer, readPage } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

const folder = join(repository, 'infra/terraform')
const files = readModuleFiles(folder)
const document = await parseModule(files)
const schema = readSchema(join(folder, 'provider-schema.json'))
const named = (text: string, pattern: RegExp) => new Set([...text.matchAll(pattern)].map(([found]) => found))
const callOf = z.object({ module: z.object({ downscope: z.tuple([z.record(z.string(), z.unknown())]) }) })
const allText = [...files.values()].join('\n')

/** What is wrong with the module after `from` became `to`; throws where there is no `from`. */
async function faultsAfter(from: string, to: string): Promise<readonly string[]> {
  if (!allText.includes(from)) throw new Error(`the module has no ${from}`)
  const changed = new Map([...files].map(([name, text]) => [name, text.replace(from, to)]))
  return judgeModule(await parseModule(changed), schema)
}

describe('the Terraform module', () => {
  test('has no resource, argument or block that the provider does not have, and all that are required', () => {
    expect(document.resources.length).toBeGreaterThan(30)
    expect(judgeModule(document, schema)).toEqual([])
  })

  test.each([
    ['a misspelt argument', 'location_id ', 'locaton_id ', 'locaton_id is no argument'],
    [
      'a missing required argument',
      '  location_id                       = local.firestore_location\n',
      '',
      'location_id is required',
    ],
    ['a misspelt block', 'startup_probe {', 'start_probe {', 'start_probe is no argument'],
    ['a missing block of a block', '          name  = env.key\n', '', 'env: name is required'],
    ['a block that is written as an argument', 'ttl_config {}', 'ttl_config = {}', 'is a block'],
    [
      'a text in the place of a number',
      'period_seconds    = 10',
      'period_seconds    = "ten"',
      'period_seconds is a number',
    ],
    ['a type that does not exist', '"google_firestore_field"', '"google_firestore_feld"', 'no such type'],
    ['an attribute that does not exist', 'scheduler.unique_id', 'scheduler.uniqe_id', 'no such attribute'],
    [
      'a resource that does not exist',
      'google_kms_key_ring.store.id',
      'google_kms_key_ring.stor.id',
      'no such resource',
    ],
    ['a variable that is not declared', 'var.concurrency', 'var.concurency', 'var.concurency: not declared'],
    ['a variable that is not used', 'var.concurrency', '80', 'var.concurrency: not used'],
  ])('with %s is refused', async (_, from, to, fault) => {
    expect((await faultsAfter(from, to)).join('\n')).toContain(fault)
  })

  test('with a bucket that everybody reads is refused', async () => {
    const bucket = 'resource "google_storage_bucket_iam_member" "x" {\n  member = "allUsers"\n}\n'
    const faults = judgeModule(await parseModule(new Map([...files, ['bucket.tf', bucket]])), schema)

    expect(faults).toContain('allUsers: granted to everybody')
  })

  test('that is no HCL is refused with its place', async () => {
    await expect(parseModule(new Map([['broken.tf', 'resource "a" {\n']]))).rejects.toThrow('broken.tf:1')
  })

  test('sets TTL policies on the collections whose documents expire, by the field that holds it', async () => {
    const [field] = document.resources.filter(({ type }) => type === 'google_firestore_field')
    const wanted = collections.filter(({ expires }) => expires).map(({ name }) => name)

    expect(field?.body).toMatchObject({ for_each: '${local.expiring_collections}', field: ttlField })
    expect(listOf('expiring_collections')).toEqual(wanted.toSorted())
  })

  test('knows which settings are secrets, and sets none that does not exist', () => {
    const settings = Object.values(settingsTable)
    const secrets = settings.flatMap(({ name, means }) => (means.endsWith('A secret.') ? [name] : []))
    const known = new Set<string>(settings.map(({ name }) => name))

    expect(listOf('secret_settings')).toEqual(secrets.toSorted())
    expect([...named(allText, /\bDOWNSCOPE_[A-Z_]+\b/g)].filter((name) => !known.has(name))).toEqual([])
  })

  test('sets what a broker starts with', () => {
    const set = [...named(files.get('main.tf') ?? '', /(?<=^ +|\{ )DOWNSCOPE_[A-Z_]+(?= += )/gm)]
    const values: Record<string, string> = {
      DOWNSCOPE_ISSUER: brokerIssuer,
      DOWNSCOPE_KEY_RING: 'gcp-kms://projects/p/locations/europe/keyRings/downscope/cryptoKeys/store',
      DOWNSCOPE_REFRESH: 'background',
      DOWNSCOPE_STORE: 'firestore://acme-tokens/downscope',
      DOWNSCOPE_POLICY: '/etc/downscope/policy.yaml',
      DOWNSCOPE_METRICS_PORT: '9464',
    }

    expect(set.toSorted()).toEqual(Object.keys(values).toSorted())
    expect(listOf('own_settings')).toEqual(Object.keys(values).toSorted())
    expect(readSettings(values)).toMatchObject({ issuer: brokerIssuer, store: { kind: 'firestore' } })
  })

  test('grants the roles that its README names, each one that the broker or a guide asks for', () => {
    const granted = named(allText, /roles\/[\w.]+/g)
    const explained = named(readPage('infra/terraform/README.md'), /(?<=^\| `)roles\/[\w.]+/gm)
    const asked = [
      'docs/deploy-cloud-run.md',
      'src/google/kms.ts',
      'src/google/iam-keys.ts',
      'src/google/iam-credentials.ts',
    ]
      .map((path) => [...named(readPage(path), /roles\/[\w.]+/g)])
      .flat()

    expect(explained).toEqual(granted)
    // The last one is the collector's, which is Google's.
    expect([...granted].toSorted()).toEqual(
      [
        ...new Set([...asked.filter((role) => granted.has(role)), 'roles/monitoring.metricWriter']),
      ].toSorted(),
    )
    expect(allText).not.toMatch(/roles\/(?:owner|editor|viewer)\b/)
  })

  test('lists its resources, inputs and outputs in its README', () => {
    expect(readPage('infra/terraform/README.md')).toContain(
      `<!-- BEGIN_TF_DOCS -->\n${renderTables(document, schema.version)}\n<!-- END_TF_DOCS -->`,
    )
  })

  test.each(['.', 'example', 'tests'])('is indented by two spaces in %s', (place) => {
    const sources = readdirSync(join(folder, place)).filter((name) => /\.(?:tf|hcl)$/.test(name))
    const bad = sources.flatMap((name) =>
      readFileSync(join(folder, place, name), 'utf8')
        .split('\n')
        .filter((line) => /\t| $|^(?:  )* \S/.test(line)),
    )

    expect(sources.length).toBeGreaterThan(0)
    expect(bad).toEqual([])
  })
})

describe('its example', () => {
  test('gives the module what it takes, and all that it needs', async () => {
    const example = callOf.parse(await parseHcl('main.tf', readPage('infra/terraform/example/main.tf')))
    const given = new Set(Object.keys(example.module.downscope[0]))
    given.delete('source')
    const required = Object.entries(document.variables).filter(([, one]) => one['default'] === undefined)

    expect([...given].filter((name) => document.variables[name] === undefined)).toEqual([])
    expect(required.map(([name]) => name).filter((name) => !given.has(name))).toEqual([])
  })

  test('has a policy that makes the account of the scheduler an operator', () => {
    const text = readPage('infra/terraform/example/policy.yaml').replace(
      'SCHEDULER_SUBJECT',
      '112233445566778899001',
    )
    const policy = parsePolicy({ text, revision: '1', origin: 'example' }, { brokerIssuer })

    expect(policy.admins.map(({ role }) => role)).toEqual(['admin', 'operator'])
  })
})

test('the workflow for the provider itself names every action by its digest', () => {
  const text = readPage('.github/workflows/terraform.yml')
  const actions = [...text.matchAll(/uses: (\S+)/g)].map(([, action = '']) => action)

  expect(() => load(text)).not.toThrow()
  expect(actions.length).toBeGreaterThan(4)
  expect(actions.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([])
  expect(load(text)).toHaveProperty('permissions', { contents: 'read' })
})

function listOf(local: string): readonly string[] {
  const [, text = ''] = new RegExp(`${local} += toset\\(\\[([^\\]]*)\\]`).exec(allText) ?? []
  return [...text.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name).toSorted()
}
