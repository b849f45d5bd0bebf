import { describe, expect, it } from 'vitest'
import { parseTokenRequest } from '../../src/http/parse-token-request.ts'
import { tokenForm } from '../support/http-layer.ts'
import { parseForm, refusalOf, refused } from '../support/token-request.ts'

const assertionForm = (changes: Readonly<Record<string, string | undefined>> = {}) =>
  tokenForm({
    grant_type: 'client_credentials',
    subject_token: undefined,
    subject_token_type: undefined,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: 'aaa.bbb.ccc',
    ...changes,
  })

describe('what is accepted', () => {
  it('a token exchange asks for all that the rule allows unless it says otherwise', () => {
    const request = parseForm(tokenForm())
    expect(request).toEqual({
      proof: { form: 'subject_token', accessToken: 'marked', assertion: request.proof.assertion },
      target: 'reports-sa',
      scopes: [],
      tokenType: 'access_token',
    })
    expect(request.proof.assertion.reveal()).toBe('aaa.bbb.ccc')
  })

  it('a client assertion carries the client id it must agree with', () => {
    const { proof } = parseForm(assertionForm({ client_id: 'billing' }))
    expect(proof).toMatchObject({ form: 'client_assertion', clientId: 'billing' })
    expect(proof.assertion.reveal()).toBe('aaa.bbb.ccc')
    expect(parseForm(assertionForm()).proof).not.toHaveProperty('clientId')
  })

  it('every parameter arrives where it belongs', () => {
    const request = parseForm(
      tokenForm({
        scope: 'b a b',
        requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        resource: 'https://api.acme.example/x?y=z',
        requested_subject: 'user@acme.example',
        requested_lifetime: '900',
      }),
    )
    expect(request).toMatchObject({
      scopes: ['a', 'b'],
      tokenType: 'id_token',
      resource: 'https://api.acme.example/x?y=z',
      subject: 'user@acme.example',
      lifetime: 900,
    })
  })

  it('white space around a token is a file’s newline and is trimmed', () => {
    expect(parseForm(tokenForm({ subject_token: ' aaa.bbb.ccc\r\n' })).proof.assertion.reveal()).toBe(
      'aaa.bbb.ccc',
    )
    const { proof } = parseForm(assertionForm({ client_assertion: 'aaa.bbb.ccc\n' }))
    expect(proof.assertion.reveal()).toBe('aaa.bbb.ccc')
  })

  it.each(['\u00a0', '\u2028', '\ufeff'])(
    'P7: %j around a token is a part of it, and not trimmed',
    (space) => {
      const spaced = `${space}aaa.bbb.ccc${space}`
      expect(parseForm(tokenForm({ subject_token: spaced })).proof.assertion.reveal()).toBe(spaced)
    },
  )

  it.each([
    'application/x-www-form-urlencoded;charset=UTF-8',
    'Application/X-WWW-Form-Urlencoded ; charset=utf-8',
  ])('the Content-Type %s is a form', (header) => {
    expect(parseTokenRequest({ contentType: header, text: tokenForm() }).target).toBe('reports-sa')
  })
})

describe('P11: parameters', () => {
  it('P11: a repeated parameter is malformed, known or unknown, empty or not', () => {
    for (const extra of ['scope=a&scope=b', 'audience=reports-sa', 'x=1&x=2', 'scope=&scope=a', 'x=&x='])
      expect(refusalOf(() => parseForm(`${tokenForm()}&${extra}`))).toBe(
        'request_malformed: a parameter is repeated',
      )
    expect(refusalOf(() => parseForm(`${tokenForm()}&%73cope=a&scope=b`))).toContain('repeated')
  })

  it('P11: unknown parameters are ignored, client_secret among them', () => {
    expect(refused({ client_secret: 's3cret', foo: 'bar', __proto__x: '1' })).toBe('accepted')
    expect(parseForm(`${tokenForm()}&__proto__=x&constructor=y`).target).toBe('reports-sa')
  })

  it('P11: an empty parameter is an absent one', () => {
    const empty = {
      scope: '',
      resource: '',
      options: '',
      requested_lifetime: '',
      requested_subject: '',
      requested_token_type: '',
      actor_token: '',
      client_assertion: '',
      client_assertion_type: '',
    }
    expect(Object.keys(parseForm(tokenForm(empty))).toSorted()).toEqual([
      'proof',
      'scopes',
      'target',
      'tokenType',
    ])
    for (const name of ['grant_type', 'subject_token', 'subject_token_type', 'audience'])
      expect(refused({ [name]: '' })).toBe(`request_malformed: ${name} is missing`)
  })

  it('a question mark before the form belongs to the first name', () => {
    expect(refusalOf(() => parseForm(`?${tokenForm()}`))).toBe('request_malformed: grant_type is missing')
  })
})

describe('what is refused', () => {
  it.each([
    null,
    '',
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded, x',
  ])('the Content-Type %s is not a form', (header) => {
    expect(refusalOf(() => parseTokenRequest({ contentType: header, text: tokenForm() }))).toContain(
      'request_malformed: the Content-Type',
    )
  })

  it('two proofs of identity are malformed in either grant', () => {
    expect(refused({ client_assertion: 'a.b.c' })).toContain('two proofs')
    expect(refused({ client_assertion_type: 'x' })).toContain('two proofs')
    expect(refusalOf(() => parseForm(assertionForm({ subject_token: 'a.b.c' })))).toContain('two proofs')
    expect(refusalOf(() => parseForm(assertionForm({ subject_token_type: 'x' })))).toContain('two proofs')
  })

  it.each(['password', 'refresh_token', 'Client_Credentials', 'client_credentials '])(
    'the grant type %s is unsupported',
    (grantType) => {
      expect(refused({ grant_type: grantType })).toContain('grant_type_unsupported')
    },
  )

  it('a token of another type than jwt and id_token proves nothing', () => {
    for (const type of ['refresh_token', 'saml2', 'JWT'])
      expect(refused({ subject_token_type: `urn:ietf:params:oauth:token-type:${type}` })).toContain(
        'subject_token_type must be',
      )
  })

  it('a client assertion of another type proves nothing', () => {
    const type = 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer'
    expect(refusalOf(() => parseForm(assertionForm({ client_assertion_type: type })))).toContain(
      'client_assertion_type must be',
    )
  })

  it('an actor token is refused, because leaving it out would change who acts', () => {
    expect(refused({ actor_token: 'a.b.c' })).toContain('actor_token is not supported')
    expect(refused({ actor_token_type: 'x' })).toContain('actor_token is not supported')
  })

  it('a requested token type other than access and ID token is malformed', () => {
    for (const type of ['refresh_token', 'jwt'])
      expect(refused({ requested_token_type: `urn:ietf:params:oauth:token-type:${type}` })).toContain(
        'requested_token_type must be',
      )
  })

  it('an API key is asked for by a name of its own, and with nothing that could narrow it', () => {
    const type = 'urn:downscope:params:oauth:token-type:api_key'
    expect(parseForm(tokenForm({ requested_token_type: type }))).toMatchObject({ tokenType: 'api_key' })
    expect(refused({ requested_token_type: 'urn:ietf:params:oauth:token-type:api_key' })).toContain(
      'request_malformed: requested_token_type',
    )
    expect(refused({ requested_token_type: type, scope: 'a' })).toContain('no scope')
    expect(refused({ requested_token_type: type, resource: 'https://a.example' })).toContain('resource')
  })

  it('a scope outside RFC 6749’s character set is no scope', () => {
    for (const scope of ['a"b', 'a\\b', 'a\tb', 'ä', 'a\u0000'])
      expect(refused({ scope })).toContain('scope_refused')
  })

  it.each(['0', '-1', '1.5', '1e3', '+60', ' 60', '060', '0x10', '9999999999', 'soon'])(
    'the lifetime %s is not a whole number of seconds',
    (lifetime) => {
      expect(refused({ requested_lifetime: lifetime })).toContain('requested_lifetime must be')
    },
  )

  it('P13: a resource must be an absolute URI without a fragment, and only an ID token can be held to one', () => {
    const idToken = { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }
    expect(refused({ ...idToken, resource: 'https://a.example/' })).toBe('accepted')
    for (const resource of [
      '/a',
      'a.example',
      '//a.example',
      'https://a.example/#x',
      'https://a.example/#',
      ' https://a.example',
      'https://',
      'https://a b',
    ])
      expect(refused({ ...idToken, resource })).toContain('resource must be')
    expect(refused({ resource: 'https://a.example/' })).toContain('resource is for an ID token')
  })

  it('P24: every free text is bounded', () => {
    for (const [name, length] of [
      ['audience', 2048],
      ['requested_subject', 320],
    ] as const) {
      expect(refused({ [name]: 'a'.repeat(length) })).toBe('accepted')
      expect(refused({ [name]: 'a'.repeat(length + 1) })).toContain(`${name} is longer`)
    }
    expect(refused({ scope: 'a'.repeat(8193) })).toContain('scope is longer')
  })

  it('P23: no refusal quotes what was sent', () => {
    const planted = 'eyJhbGciOi.planted'
    for (const name of [
      'grant_type',
      'subject_token_type',
      'requested_token_type',
      'requested_lifetime',
      'options',
      'actor_token',
      'resource',
      'client_assertion',
      planted,
    ])
      expect(refusalOf(() => parseForm(`${tokenForm({ [name]: planted })}&${planted}=1&x=1`))).not.toContain(
        'planted',
      )
  })
})
