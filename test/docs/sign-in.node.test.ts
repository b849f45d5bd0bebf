import { describe, expect, test } from 'vitest'
import { createRolesOf } from '../../src/authorization/authorize-admin.ts'
import { signInClients } from '../../src/compose/people.ts'
import { readSettings } from '../../src/config.ts'
import type { Claims } from '../../src/domain/caller.ts'
import { compilePolicy, type CompiledPolicy } from '../../src/policy/compile-policy.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { brokerIssuer, readPage } from '../support/guides.ts'
import { codeBlocksOf } from '../support/markdown-blocks.ts'

// docs/sign-in.md: every issuer's policy, settings and ID token, as they are printed, and the role that the page says.

const issuers = readPage('docs/sign-in.md').split('\n## Issuers\n')[1]?.split('\n## ')[0] ?? ''
const sections = issuers
  .split('\n### ')
  .slice(1)
  .map((text) => ({ name: text.split('\n')[0] ?? '', text }))

describe('the issuers of docs/sign-in.md', () => {
  test('are those that people ask for', () => {
    expect(sections.map(({ name }) => name)).toEqual([
      'Google Workspace',
      'Entra ID',
      'Okta',
      'Keycloak',
      'GitHub',
    ])
  })

  test.each(sections)(
    '$name: the policy and the settings are taken, and the ID token gets its role',
    async ({ text }) => {
      const { policy, settings, claims } = configurationIn(text)
      const said = /makes an (?<role>\w+):/.exec(text)?.groups?.['role']
      const iss = textOf(claims, 'iss')

      expect(settings.signIn?.issuer).toBe(iss)
      expect(signInClients(settings)?.clients).toContain(claims['aud'])
      expect(policy.findIssuer(iss)).toBeDefined()
      expect((await rolesOf(policy, claims))[0]).toBe(said)
    },
  )

  test.each(sections)(
    '$name: without the claim that the rule asks for there is another role, or none',
    async ({ text }) => {
      const { policy, claims } = configurationIn(text)
      const { groups: _groups, roles: _roles, email: _email, ...others } = claims

      expect(await rolesOf(policy, others)).toEqual(text.startsWith('Google') ? ['viewer'] : [])
      expect(await rolesOf(policy, { ...others, hd: 'evil.example' })).toEqual([])
    },
  )

  test('Google Workspace: an address that is not verified makes no admin', async () => {
    const { policy, claims } = configurationIn(sections[0]?.text ?? '')

    expect(await rolesOf(policy, { ...claims, email_verified: false })).toEqual(['viewer'])
  })

  test('GitHub has no ID token, and the page says so', () => {
    expect(sections.at(-1)?.text).toContain('has no ID token, so nobody can sign in at it directly')
  })
})

function configurationIn(text: string) {
  const block = (language: string): string =>
    codeBlocksOf(text).find((one) => one.language === language)?.text ?? ''
  const lines = block('sh').matchAll(/^export (?<name>\w+)=(?<value>.*)$/gm)
  const env = Object.fromEntries(
    [...lines].map(({ groups: { name = '', value = '' } = {} }) => [
      name,
      value.startsWith('"$(') ? 'secret' : value.replaceAll('"', ''),
    ]),
  )
  const settings = readSettings({
    DOWNSCOPE_ISSUER: brokerIssuer,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
    ...env,
  })
  const policy = compilePolicy(
    parsePolicy({ text: `version: 1\n${block('yaml')}`, revision: '1', origin: 'test' }, { brokerIssuer }),
  )
  const claims = JSON.parse(block('json')) as Claims
  return { policy, settings, claims }
}

function rolesOf(policy: CompiledPolicy, claims: Claims) {
  const issuer = textOf(claims, 'iss')
  const issuerName = policy.findIssuer(issuer)?.name ?? ''
  return createRolesOf({ policy: async () => policy })({
    issuer,
    issuerName,
    subject: textOf(claims, 'sub'),
    claims,
  })
}

function textOf(claims: Claims, name: string): string {
  const value = claims[name]
  if (typeof value !== 'string') throw new Error(`${name} is no text`)
  return value
}
