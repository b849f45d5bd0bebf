import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { failureOf, startMintWorld, STORAGE_READ, type MintWorld } from '../support/mint-world.ts'

const key = 'AIzaSyA-a-key-of-simple-api-access-01234'

let world: MintWorld

beforeEach(async () => {
  world = await startMintWorld()
  await world.enrol('maps', { type: 'api_key', key })
})
afterEach(async () => {
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const mint = async (more = {}) =>
  world.mint(await world.grantFor('maps', [], { tokenType: 'api_key', ...more }))

describe('an API key', () => {
  test('P13: is the stored key, with no scope, and nobody upstream is asked', async () => {
    const minted = await mint()
    expect(minted.secret.reveal()).toBe(key)
    expect(minted).toMatchObject({ tokenType: 'api_key', scopes: [] })
    expect(minted.drawnFrom).toEqual([(await world.administration.read('maps')).version])
    expect(world.google.calls.count()).toBe(0)
  })

  test('is to be asked for again after an hour', async () => {
    const { issuedAt, expiresAt } = await mint()
    expect(expiresAt - issuedAt).toBe(3600)
  })

  test('P13: is never given for a token, nor a token for a key', async () => {
    expect((await failureOf(mint({ tokenType: 'access_token' }))).code).toBe('target_unavailable')
    await world.enrol('reports-sa', await world.google.createServiceAccount())
    const grant = await world.grantFor('reports-sa', [STORAGE_READ], { tokenType: 'api_key' })
    expect((await failureOf(world.mint(grant))).code).toBe('target_unavailable')
    expect(world.google.calls.count()).toBe(0)
  })

  test('P26: of a disabled credential is not handed out', async () => {
    const grant = await world.grantFor('maps', [], { tokenType: 'api_key' })
    await world.administration.disable('maps')
    expect((await failureOf(world.mint(grant))).code).toBe('target_unavailable')
  })
})
