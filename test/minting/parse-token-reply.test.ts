import { describe, expect, test } from 'vitest'
import { scopeSet } from '../../src/domain/scopes.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import {
  carriedScopes,
  judgeAccessToken,
  parseIdToken,
  parseRefreshToken,
  parseReplyMembers,
} from '../../src/oauth/token-response.ts'

const sentAt = epochSeconds(1_800_000_000)
const good = { access_token: 'ya29.x', token_type: 'Bearer', expires_in: 3599, scope: 'b a' }
const judge = (members: Readonly<Record<string, unknown>>) =>
  judgeAccessToken(members, { asked: ['a', 'b'], sentAt, drawnFrom: ['v1'] })

describe('an access token reply', () => {
  test('as Google sends it is taken', () => {
    const token = judge(good)
    expect(token.ok && token.value).toMatchObject({
      scopes: ['a', 'b'],
      issuedAt: sentAt,
      expiresAt: sentAt + 3599,
    })
    expect(judge({ ...good, token_type: 'bearer' }).ok).toBe(true)
    expect(judge({ ...good, access_token: 'x'.repeat(12_288) }).ok).toBe(true)
  })

  test.each([
    ['a token over 12288 bytes', { access_token: 'x'.repeat(12_289) }],
    ['a token with a space', { access_token: 'a b' }],
    ['a token that is not ASCII', { access_token: 'ä' }],
    ['a life of half a second', { expires_in: 0.5 }],
    ['a life beyond a day', { expires_in: 86_401 }],
    ['a life that is true', { expires_in: true }],
    ['a scope that is a list', { scope: ['a'] }],
    ['a scope with a quotation mark', { scope: 'a"' }],
    ['one more scope', { scope: 'a b c' }],
    ['another scope only', { scope: 'c' }],
    ['a scope in other letters', { scope: 'A' }],
  ])('P13: with %s is refused, and the fault tells no value', (_, change) => {
    const token = judge({ ...good, ...change })
    expect(token.ok).toBe(false)
    expect(JSON.stringify(token)).not.toContain('ya29')
  })

  test('P13: aliases are compared by their full names, and told in the asker’s words', () => {
    const email = 'https://www.googleapis.com/auth/userinfo.email'
    expect(carriedScopes(['email', 'openid'], scopeSet([email, 'openid']))).toEqual(['email', 'openid'])
    expect(carriedScopes([email], ['email'])).toEqual([email])
    expect(carriedScopes(['email'], ['profile'])).toBeUndefined()
    expect(carriedScopes(['a', 'b'], ['b'])).toEqual(['b'])
  })
})

describe('the rest of a reply', () => {
  test('a refresh token is absent, usable or a fault', () => {
    const reading = parseRefreshToken({ refresh_token: '1//0x' })
    expect(reading.ok && reading.value.token?.reveal()).toBe('1//0x')
    expect(parseRefreshToken({})).toEqual({ ok: true, value: {} })
    for (const wrong of ['', null, 7, 'a\nb'])
      expect(parseRefreshToken({ refresh_token: wrong }).ok).toBe(false)
  })

  test('a refresh token’s end is read under either name, and nonsense is no end', () => {
    const lifeOf = (members: object) => {
      const reading = parseRefreshToken({ refresh_token: 'x', ...members })
      return reading.ok ? reading.value.expiresIn : 'refused'
    }
    expect(lifeOf({ refresh_token_expires_in: 15_897_600 })).toBe(15_897_600)
    expect(lifeOf({ refresh_token_expires_in: '3600' })).toBe(3600)
    expect(lifeOf({ refresh_expires_in: 1800 })).toBe(1800)
    for (const none of [0, -1, 'soon', null, {}, 1e12])
      expect(lifeOf({ refresh_token_expires_in: none })).toBeUndefined()
  })

  test('an ID token is a JWT of Google for the audience, with an end within a day', () => {
    const good = {
      iss: 'https://accounts.google.com',
      aud: 'https://a',
      exp: sentAt + 3600,
      email: 'a@b.example',
    }
    const jwt = (change: object) =>
      ['{}', JSON.stringify({ ...good, ...change }), 's']
        .map((part) => btoa(part).replace(/=+$/, ''))
        .join('.')
    const read = (token: unknown, email?: string) =>
      parseIdToken(
        { id_token: token },
        { audience: 'https://a', now: sentAt, ...(email === undefined ? {} : { email }) },
      )
    expect(read(jwt({}))).toMatchObject({ ok: true, value: { expiresAt: good.exp } })
    expect(read(jwt({ iss: 'accounts.google.com' })).ok).toBe(true)
    expect(read(jwt({}), good.email).ok).toBe(true)
    expect(read(jwt({}), 'other@b.example').ok).toBe(false)
    expect(read(jwt({ email: undefined }), good.email).ok).toBe(false)
    for (const wrong of [
      { iss: 'https://accounts.google.com.evil.example' },
      { iss: undefined },
      { aud: 'https://b' },
      { aud: ['https://a'] },
      { exp: undefined },
      { exp: sentAt },
      { exp: String(sentAt + 3600) },
      { exp: sentAt + 100_000 },
    ])
      expect([wrong, read(jwt(wrong)).ok]).toEqual([wrong, false])
    expect([read('a.b.c').ok, read(undefined).ok]).toEqual([false, false])
  })

  test('only application/json with status 200 is a reply', () => {
    const read = (type: string | undefined, status = 200) =>
      parseReplyMembers({ kind: 'answer', status, header: () => type, body: '{}' }).ok
    expect(read('application/json')).toBe(true)
    expect(read('Application/JSON; charset=UTF-8')).toBe(true)
    expect([read('text/html'), read(undefined), read('application/json', 204)]).toEqual([false, false, false])
  })
})
