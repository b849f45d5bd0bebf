import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseCompactJws } from '../../src/authentication/compact-jws.ts'
import { createAuthenticateWorld, trustedIssuer } from '../support/authenticate-world.ts'
import { base64url, createSigner, type Signer } from '../support/signer.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

describe('a compact JWS', () => {
  let signer: Signer
  beforeAll(async () => {
    signer = await createSigner('ES256', 'k1')
  })

  const setUp = async () => {
    const world = createAuthenticateWorld()
    const issuer = trustedIssuer([signer])
    world.trust(issuer)
    const claims = JSON.stringify(world.claims(issuer))
    const header = JSON.stringify({ alg: 'ES256', kid: 'k1', typ: 'JWT' })
    const token = await signer.signTexts(header, claims)
    const [h = '', p = '', s = ''] = token.split('.')
    return { world, issuer, claims, header, token, h, p, s }
  }

  it('is accepted when nothing is wrong with it, white space of a file around it included', async () => {
    const { world, token } = await setUp()
    expect(await world.prove(` \t\r\n${token}\n`)).toMatchObject({ issuer: 'billing', subject: 'billing' })
  })

  it('P7: is three parts of strict base64url and nothing else', async () => {
    const { world, token, h, p, s } = await setUp()
    const spoilt = [
      '',
      '.',
      '..',
      h,
      `${h}.${p}`,
      `${h}.${p}.`,
      `${h}..${s}`,
      `.${p}.${s}`,
      `${token}.`,
      `${token}.${s}`,
      `${h}=.${p}.${s}`,
      `${h}.${p}==.${s}`,
      `${h}.${p}.${s}==`,
      `${h}.${p}.${s.replace(/^./, '+')}`,
      `${h}.${p}.${s.replace(/^./, '/')}`,
      `${h}.${p}\n.${s}`,
      `${h}. ${p}.${s}`,
      `${h}.${p}.${s.slice(0, 40)} ${s.slice(40)}`,
      `${h}.${p}A.${s}`,
      `\u00a0${token}`,
      `${token}\u2028`,
      JSON.stringify({ protected: h, payload: p, signature: s }),
      JSON.stringify({ payload: p, signatures: [{ protected: h, signature: s }] }),
    ]
    for (const text of spoilt) expect((await world.refusal(text)).reason).toMatch(/^assertion malformed: /)
    expect(await world.prove(token)).toBeDefined()
  })

  it('P7: has no second spelling: stray trailing bits are refused in each part', async () => {
    const { world, token } = await setUp()
    const parts = token.split('.')
    let tried = 0
    for (const [index, part] of parts.entries()) {
      const spareBits = [0, 0, 4, 2][part.length % 4] ?? 0
      for (let stray = 1; stray < 2 ** spareBits; stray += 1) {
        const last = alphabet[alphabet.indexOf(part.slice(-1)) + stray] ?? ''
        const spelt = parts.with(index, part.slice(0, -1) + last).join('.')
        expect((await world.refusal(spelt)).reason).toMatch(/strict base64url$/)
        tried += 1
      }
    }
    expect(tried).toBeGreaterThanOrEqual(15)
  })

  it('P7: is at most 16 KiB', async () => {
    const { world, issuer } = await setUp()
    const withPadding = (length: number) => signer.sign(world.claims(issuer, { padding: 'x'.repeat(length) }))
    expect(await world.prove(await withPadding(11_000))).toBeDefined()
    const large = await withPadding(12_200)
    expect(large.length).toBeGreaterThan(16_384)
    expect((await world.refusal(large)).reason).toBe('assertion malformed: longer than 16384 characters')
    expect((await world.refusal(`a${' '.repeat(200_000)}b`)).reason).toMatch(/longer than/)
  })

  it('P7: is made of JSON objects in UTF-8, although the signature is right', async () => {
    const { world, claims, header } = await setUp()
    for (const text of ['', '[]', '"x"', 'null', '{', `\ufeff${claims}`]) {
      expect((await world.refusal(await signer.signTexts(header, text))).reason).toMatch(
        /^assertion malformed: /,
      )
      expect((await world.refusal(await signer.signTexts(text, claims))).reason).toMatch(
        /^assertion malformed: /,
      )
    }
    const latin = base64url(Uint8Array.from([...new TextEncoder().encode('{"a":"'), 0xe9, 0x22, 0x7d]))
    const [h = '', , s = ''] = (await signer.signTexts(header, claims)).split('.')
    expect((await world.refusal(`${h}.${latin}.${s}`)).reason).toMatch(/payload is not UTF-8/)
  })

  it('P7: reads characters beyond ASCII as they were signed', async () => {
    const { world, issuer } = await setUp()
    const caller = await world.prove(await signer.sign(world.claims(issuer, { name: 'Zoë € 𝄞' })))
    expect(caller.claims['name']).toBe('Zoë € 𝄞')
  })

  it('P7: has no duplicate members, although the signature is right', async () => {
    const { world, claims, header } = await setUp()
    const twice = [
      [header, claims.replace('{', '{"sub":"somebody",')],
      [header, claims.replace('{', String.raw`{"\u0073ub":"somebody",`)],
      [header.replace('{', '{"alg":"none",'), claims],
      [header, claims.replace('{', '{"deep":{"a":[{"b":1,"b":2}]},')],
    ] as const
    for (const [head, body] of twice)
      expect((await world.refusal(await signer.signTexts(head, body))).reason).toMatch(/duplicate member/)
  })

  it.each(['crit', 'b64', 'zip', 'jwk', 'jku', 'x5u', 'x5c'])(
    'P7, P9: a header with "%s" is refused and fetches nothing',
    async (name) => {
      const { world, issuer } = await setUp()
      const value =
        { crit: ['exp'], b64: true, zip: 'DEF', jwk: signer.jwk, x5c: ['AAAA'] }[name] ??
        'https://evil.example/keys'
      const token = await signer.sign(world.claims(issuer), { [name]: value })
      expect((await world.refusal(token)).reason).toBe(`assertion malformed: header has "${name}"`)
      expect(world.requests).toEqual([])
    },
  )

  it('P7: names in the header are strings', async () => {
    const { world, issuer } = await setUp()
    for (const header of [{ alg: 1 }, { alg: null }, { kid: 1 }, { kid: ['k1'] }, { typ: null }, { typ: {} }])
      expect((await world.refusal(await signer.sign(world.claims(issuer), header))).reason).toMatch(
        /is not a string$/,
      )
  })

  it('P1, P7: no mutation of a good token is accepted', async () => {
    const { world, token } = await setUp()
    const mutation = fc.tuple(
      fc.nat(token.length - 1),
      fc.constantFrom(...Array.from(alphabet), '.', '=', '+', '/', ' ', '\0', 'é'),
      fc.nat(2),
    )
    await fc.assert(
      fc.asyncProperty(mutation, async ([at, char, kind]) => {
        const rest = [token.slice(at + 1), token.slice(at), char + token.slice(at + 2)][kind]
        const mutated = `${token.slice(0, at)}${char}${rest}`
        fc.pre(mutated.trim() !== token)
        expect((await world.refusal(mutated)).code).toBe('client_assertion_rejected')
      }),
      { numRuns: 400 },
    )
    expect(world.uses).toEqual([])
    expect(await world.prove(token)).toBeDefined()
  })

  it('P7: any text is judged without an exception', () => {
    const part = fc.oneof(fc.string(), fc.string().map(base64url), fc.json().map(base64url))
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        expect(parseCompactJws(parts.join('.'))).toHaveProperty('ok')
      }),
    )
  })
})
