import { describe, expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { upstreamsOf } from '../support/upstreams.ts'

const stated = {
  name: 'crm',
  token_endpoint: 'https://login.crm.example/token',
  client_auth: 'client_secret_post',
}
const discovered = {
  name: 'sso',
  issuer: 'https://sso.example/realms/shop',
  discovery: true,
  client_auth: 'private_key_jwt',
}

const faultsOf = (...entries: readonly object[]): readonly string[] => {
  try {
    upstreamsOf(...entries)
    return []
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'document_invalid') throw error
    return error.reason.split('\n').map((line) => line.replace(/^test:\d+:\d+ /, ''))
  }
}

describe('an upstream', () => {
  test('that says little is an ordinary OAuth 2.0 server whose refresh tokens may rotate', () => {
    expect(upstreamsOf(stated)).toEqual([
      {
        name: 'crm',
        endpoints: { from: 'policy', token: 'https://login.crm.example/token' },
        clientAuthentication: 'client_secret_post',
        assertionAudience: 'token_endpoint',
        scopeSeparator: ' ',
        scopeInRefresh: 'send',
        tokenType: 'bearer',
        readsTextualLifetime: false,
        refreshTokenRotates: 'always',
        refusesWithStatus200: false,
        invalidGrantErrors: [],
        extraParameters: {},
        acceptsRoles: false,
        consent: { scopes: [], parameters: {} },
      },
    ])
  })

  test('found by discovery is asked where its metadata says, and proved to as its issuer', () => {
    expect(upstreamsOf(discovered)[0]).toMatchObject({
      issuer: discovered.issuer,
      endpoints: { from: 'discovery', issuer: discovered.issuer },
      assertionAudience: 'issuer',
    })
  })

  test('may be as peculiar as it likes: all of it is data', () => {
    const peculiar = {
      ...stated,
      revocation_endpoint: 'https://login.crm.example/revoke',
      client_auth: 'client_secret_basic',
      scope_separator: ',',
      scope_in_refresh: 'omit',
      token_type: 'Bot',
      lifetime_seconds_default: 900,
      expires_in_text: true,
      refresh_token_rotates: false,
      errors_with_status_200: true,
      invalid_grant_errors: ['bad_refresh_token'],
      extra_parameters: { audience: 'https://api.crm.example' },
    }
    expect(upstreamsOf(peculiar)[0]).toMatchObject({
      endpoints: { token: stated.token_endpoint, revocation: peculiar.revocation_endpoint },
      clientAuthentication: 'client_secret_basic',
      scopeSeparator: ',',
      scopeInRefresh: 'omit',
      tokenType: 'bot',
      lifetimeDefault: 900,
      readsTextualLifetime: true,
      refreshTokenRotates: 'never',
      refusesWithStatus200: true,
      invalidGrantErrors: ['bad_refresh_token'],
      extraParameters: { audience: 'https://api.crm.example' },
    })
  })

  test('is missing from a policy without any', () => {
    expect(upstreamsOf()).toEqual([])
  })
})

describe('a faulty upstream', () => {
  const both = 'upstreams[0]: needs exactly one of discovery: true and token_endpoint'

  test.each([
    [{ ...stated, token_endpoint: undefined }, both],
    [{ ...discovered, token_endpoint: 'https://sso.example/token' }, both],
    [{ ...discovered, issuer: undefined }, 'upstreams[0].issuer: endpoints are found by discovery, so'],
    [{ ...discovered, issuer: 'https://sso.example/?x' }, 'must have no query and no fragment'],
    [{ ...discovered, issuer: 'http://sso.example' }, 'must be an https URL'],
    [{ ...discovered, revocation_endpoint: 'https://sso.example/r' }, 'is found by discovery'],
    [
      { ...stated, token_endpoint: 'http://login.crm.example' },
      'upstreams[0].token_endpoint: must be an https URL',
    ],
    [{ ...stated, token_endpoint: 'https://u:p@login.crm.example' }, 'must not hold a user name'],
    [{ ...stated, token_endpoint: 'https://login.crm.example#x' }, 'must have no fragment'],
    [
      { ...stated, revocation_endpoint: 'file:///etc/passwd' },
      'upstreams[0].revocation_endpoint: must be an https URL',
    ],
    [
      { ...stated, revocation_endpoint: 'https://evil.example/revoke' },
      'upstreams[0].revocation_endpoint: must be on the host of token_endpoint',
    ],
    [{ ...stated, name: 'google' }, '"google" is built in'],
    [{ ...stated, name: 'A b' }, 'upstreams[0].name: must be 1 to 63 of a-z'],
    [{ ...stated, client_auth: 'client_secret_jwt' }, 'upstreams[0].client_auth:'],
    [{ ...stated, client_auth: undefined }, 'upstreams[0].client_auth: is missing'],
    [{ ...stated, client_assertion_audience: 'issuer' }, 'means nothing unless client_auth'],
    [{ ...stated, client_auth: 'private_key_jwt', client_assertion_audience: 'issuer' }, 'is not stated'],
    [{ ...stated, scope_separator: ';' }, 'upstreams[0].scope_separator:'],
    [{ ...stated, lifetime_seconds_default: 0 }, 'upstreams[0].lifetime_seconds_default:'],
    [{ ...stated, lifetime_seconds_default: 90_000 }, 'upstreams[0].lifetime_seconds_default:'],
    [{ ...stated, extra_parameters: { scope: 'x' } }, '"scope" is sent by the broker itself'],
    [{ ...stated, extra_parameters: { 'a b': 'x' } }, 'must be a parameter like'],
    [{ ...stated, token_url: 'https://x.example' }, 'unknown key "token_url"'],
  ])('%# is refused where it is wrong', (entry, fault) => {
    expect(faultsOf(entry).join('\n')).toContain(fault)
  })

  test('tells every fault at once, with its line', () => {
    const text = [
      'version: 1',
      'issuers: []',
      'rules: []',
      'upstreams:',
      '  - name: google',
      '    token_endpoint: https://x.example/token',
      '    client_auth: nothing',
    ].join('\n')
    const parse = () =>
      parsePolicy({ text, revision: '1', origin: 'file p.yaml' }, { brokerIssuer: 'https://b.example' })
    expect(parse).toThrow(/p\.yaml:5:11 upstreams\[0\]\.name[^]*p\.yaml:7:18 upstreams\[0\]\.client_auth/)
  })

  test('has a name of its own', () => {
    expect(faultsOf(stated, stated)).toEqual(['upstreams[1].name: "crm" occurs twice'])
  })
})
