import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import type { Members } from '../../src/domain/json.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { outlineOf, requireNext } from '../../src/maintenance/export-segment.ts'
import { createTransferStore } from '../../src/maintenance/transfer-store.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createBlocks } from '../../src/records/blocks.ts'
import { credentialDocumentOf, recordIn } from '../../src/records/credential-codec.ts'
import type { CredentialRecord } from '../../src/records/credential-record.ts'
import { createCredentials } from '../../src/records/credentials.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createReplays } from '../../src/records/replays.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { keyCredential, refreshCredential } from '../support/credential-world.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { webSha256 } from '../support/sequence.ts'
import { jsonMembers } from '../support/json-members.ts'
import { localKey, ringOf } from '../support/rewrap-world.ts'

const entropy = {
  uuid: () => crypto.randomUUID(),
  octets: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
  fraction: () => 0,
}
const keys = [localKey('k1', 1)]
const otherKeys = [localKey('k2', 2)]
const plainly = { isCheck: false, isPolicyTaken: false, isRewrapped: false }

function createSide(clock = createFakeClock(), ring = keys) {
  const store = createMemoryStore({ clock })
  const deps = { store, clock, entropy, keyRing: ringOf(ring), sha256: webSha256 }
  return {
    ...deps,
    credentials: createCredentials({ ...deps, onMalformed: () => undefined }),
    rotations: createRotations({ ...deps, holder: 'one' }),
    blocks: createBlocks(deps),
    policies: createPolicies({ ...deps, newId: entropy.uuid }),
    replays: createReplays(deps),
    transfer: createTransferStore(deps),
  }
}

type Side = ReturnType<typeof createSide>

/** Everything a store may hold that an export takes along, and what it does not. */
async function fill(side: Side): Promise<void> {
  await side.credentials.add(keyCredential)
  await side.credentials.add(refreshCredential)
  await side.credentials.add({ ...keyCredential, name: 'spare-sa' })
  await side.policies.apply({
    text: 'version: 1\nrules: [] # the loose one',
    expected: undefined,
    by: 'ops/ops',
  })
  await side.replays.rememberOnce({
    issuer: 'billing',
    jti: 'used',
    until: later(side.clock.now(), seconds(600)),
  })
  await side.store.put('audit/1', { schema: 1 })
  await side.store.put(
    'tokens/1',
    { schema: 1, fence: 1 },
    { expiresAt: later(side.clock.now(), seconds(60)) },
  )
}

const whole = (side: Side, more: { isRewrapped?: boolean } = {}) =>
  side.transfer.exportSegment({ limit: 200, ...more })

async function keysIn(store: DocumentStore): Promise<readonly string[]> {
  const prefixes = ['audit/', 'blocks/', 'credentials/', 'destroyed/', 'policies/', 'replays/', 'tokens/']
  const found = await Promise.all(prefixes.map((prefix) => store.list({ prefix, limit: 100 })))
  return found.flat().map(({ key }) => key)
}

function withEnd(text: string, change: (end: Members) => Members): string {
  const lines = text.trimEnd().split('\n')
  const end = change(jsonMembers(lines.at(-1) ?? ''))
  return `${[...lines.slice(0, -1), JSON.stringify(end)].join('\n')}\n`
}

/** As somebody would who has no key ring. */
async function redigested(text: string, isMacKept: boolean): Promise<string> {
  const lines = text.trimEnd().split('\n')
  const { sha256: _, mac, ...end } = jsonMembers(lines.at(-1) ?? '')
  const digest = await webSha256([...lines.slice(0, -1), JSON.stringify(end)].join('\n'))
  return withEnd(text, () => ({ ...end, sha256: digest, ...(isMacKept ? { mac } : {}) }))
}

describe('an export', () => {
  it('P35: brings every credential, policy and used assertion into an empty store, and nothing that is cached', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)

    const report = await to.transfer.importSegment(await whole(from), plainly)

    expect(report.documents.every(({ outcome }) => outcome === 'created')).toBe(true)
    const kept = (await keysIn(from.store)).filter((key) => !/^(?:audit|tokens)\//.test(key))
    expect((await keysIn(to.store)).filter((key) => !key.startsWith('blocks/'))).toEqual(kept)
    expect((await to.policies.read())?.text).toContain('the loose one')
    const { version = '' } = (await to.credentials.find('reports-sa')) ?? {}
    const { secret } = await to.credentials.openSecret('reports-sa', version)
    expect(secret.kind === 'service_account_key' && secret.privateKey.reveal()).toBe('the private key')
    expect(await to.replays.rememberOnce({ issuer: 'billing', jti: 'used', until: clock.now() })).toBe(false)
    expect(await to.replays.rememberOnce({ issuer: 'billing', jti: 'new', until: clock.now() })).toBe(true)
  })

  it('P35: in parts, repeated and out of breath, ends the same as at once', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    let last: ReturnType<typeof outlineOf> | undefined
    let parts = 0
    do {
      const page = last?.next === undefined ? {} : { id: last.id, after: last.next }
      const text = await from.transfer.exportSegment({ ...page, limit: 2 })
      const outline = outlineOf(text)
      requireNext(last, outline)
      await to.transfer.importSegment(text, plainly)
      const again = await to.transfer.importSegment(text, plainly)
      expect(again.documents.every(({ outcome }) => outcome === 'kept')).toBe(true)
      last = outline
      parts += 1
    } while (last.next !== undefined)

    expect(parts).toBeGreaterThan(2)
    const digests = async (side: Side) =>
      (await createSide(clock).transfer.importSegment(await whole(side), plainly)).documents
        .filter(({ key }) => !key.startsWith('blocks/'))
        .map(({ key, digest }) => [key, digest])
    expect(await digests(to)).toEqual(await digests(from))
  })

  it('P35: opens nothing without the key ring, and is refused by another one before anything is written', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock, otherKeys)]
    await fill(from)
    const text = await whole(from)

    expect(text).not.toMatch(/the private key|refresh-1|the client secret/)
    for (const isCheck of [true, false])
      await expect(to.transfer.importSegment(text, { ...plainly, isCheck })).rejects.toMatchObject({
        code: 'key_ring_unavailable',
      })
    expect(await keysIn(to.store)).toEqual([])
  })

  it('is sealed anew under the first key of a ring that has the old one too', async () => {
    const clock = createFakeClock()
    const both = createSide(clock, [...otherKeys, ...keys])
    const from = createSide(clock)
    await fill(from)
    await both.transfer.importSegment(await whole(from), { ...plainly, isRewrapped: true })
    const credentials = createCredentials({
      ...both,
      keyRing: ringOf(otherKeys),
      onMalformed: () => undefined,
    })
    const { version = '' } = (await credentials.find('reports-sa')) ?? {}

    await expect(credentials.openSecret('reports-sa', version)).resolves.toMatchObject({ generation: 1 })
  })

  it.each([
    ['cut off in the middle', (text: string) => text.slice(0, text.length / 2), 'cut off'],
    [
      'without its last document',
      (text: string) => text.replace(/\n\{"key":[^\n]*\n(?=\{"documents)/, '\n'),
      'cut off',
    ],
    ['with a letter changed', (text: string) => text.replace('reports@acme', 'reporta@acme'), 'digest'],
    ['of another schema', (text: string) => text.replace('"schema":1', '"schema":2'), 'another schema'],
    ['that is something else', () => '{"a":1}\n', 'no export'],
  ])('%s is refused whole', async (_, damage, words) => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    const text = await whole(from)

    await expect(to.transfer.importSegment(damage(text), plainly)).rejects.toThrow(words)
    expect(await keysIn(to.store)).toEqual([])
    await expect(to.transfer.importSegment(text, plainly)).resolves.toBeDefined()
  })
})

describe('T37: an old export', () => {
  it('T37: undoes no disabling, revocation, destruction, block, stop, policy, used assertion or rotation', async () => {
    const side = createSide()
    await fill(side)
    await side.credentials.add({ ...keyCredential, name: 'rotated-sa' })
    await side.credentials.add({ ...keyCredential, name: 'untouched-sa' })
    const former = (await side.credentials.find('rotated-sa'))?.version ?? ''
    const old = await whole(side)

    await side.credentials.setState('reports-sa', 'disabled')
    await side.credentials.revoke('calendar-user')
    await side.credentials.remove('spare-sa')
    await side.blocks.block({ issuer: 'billing', subject: 'billing' }, 'ops/ops')
    await side.blocks.stop('ops/ops')
    const loose = await side.policies.read()
    await side.policies.apply({ text: 'version: 1 # tight', expected: loose?.revision, by: 'ops/ops' })
    await side.replays.rememberOnce({
      issuer: 'a',
      jti: 'later',
      until: later(side.clock.now(), seconds(60)),
    })
    await rotate(side, 'rotated-sa')
    const rotated = await side.credentials.find('rotated-sa')
    const report = await side.transfer.importSegment(old, plainly)

    expect(await side.credentials.find('reports-sa')).toMatchObject({ state: 'disabled' })
    expect(await side.credentials.find('calendar-user')).toMatchObject({ state: 'revoked' })
    expect(await side.credentials.find('spare-sa')).toBeUndefined()
    const { callers, stopped } = await side.blocks.read()
    expect(callers).toMatchObject([{ issuer: 'billing' }])
    expect(stopped).toMatchObject({ by: 'ops/ops' })
    expect((await side.policies.read())?.text).toContain('tight')
    expect(await side.replays.rememberOnce({ issuer: 'a', jti: 'later', until: side.clock.now() })).toBe(
      false,
    )
    expect(await side.credentials.find('rotated-sa')).toMatchObject({ version: rotated?.version })
    await expect(side.credentials.openSecret('rotated-sa', former)).rejects.toThrow('destroyed')
    // What nobody touched is as it was: the export was read.
    expect(await side.credentials.find('untouched-sa')).toMatchObject({ state: 'enabled' })
    expect(report.documents.find(({ key }) => key === 'credentials/spare-sa')?.outcome).toBe('left_out')
  })

  it('T37: switches off here what was switched off there, and leaves the service stopped', async () => {
    const clock = createFakeClock()
    const [here, there] = [createSide(clock), createSide(clock)]
    await fill(here)
    await there.transfer.importSegment(await whole(here), plainly)
    await there.blocks.resume()
    await there.credentials.setState('reports-sa', 'disabled')
    await there.credentials.remove('spare-sa')
    await there.blocks.block({ issuer: 'billing', subject: 'billing' }, 'ops/ops')
    const before = (await here.store.get('credentials/reports-sa'))?.value['fence']
    await here.transfer.importSegment(await whole(there), plainly)

    expect(await here.credentials.find('reports-sa')).toMatchObject({ state: 'disabled' })
    expect(await here.credentials.find('spare-sa')).toMatchObject({ state: 'disabled' })
    expect(await here.credentials.find('calendar-user')).toMatchObject({ state: 'enabled' })
    expect(await here.blocks.read()).toMatchObject({
      stopped: { by: 'store import' },
      callers: [{ issuer: 'billing' }],
    })
    const after = (await here.store.get('credentials/reports-sa'))?.value['fence']
    expect(Number(after)).toBeGreaterThan(Number(before))
  })

  it('T37: fences rise above both, also where nothing else is to be changed', async () => {
    const side = createSide()
    await fill(side)
    const { fence } = await recordOf(side, 'reports-sa')
    await side.transfer.importSegment(await whole(side), plainly)

    expect((await recordOf(side, 'reports-sa')).fence).toBeGreaterThan(fence)
  })

  it('T37: takes the policy of the export only where that is asked for', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    await to.policies.apply({ text: 'version: 1 # here', expected: undefined, by: 'ops/ops' })
    await to.transfer.importSegment(await whole(from), plainly)
    expect((await to.policies.read())?.text).toContain('here')

    await to.transfer.importSegment(await whole(from), { ...plainly, isPolicyTaken: true })
    expect((await to.policies.read())?.text).toContain('the loose one')
  })

  it('T37: carries no lease, and an intent that was written stays', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    await from.rotations.begin('reports-sa')
    expect(await from.rotations.claim('reports-sa')).toBeDefined()
    await to.transfer.importSegment(await whole(from), plainly)

    expect(JSON.stringify((await from.store.get('credentials/reports-sa'))?.value)).toContain('"lease"')
    expect(JSON.stringify((await to.store.get('credentials/reports-sa'))?.value)).not.toContain('"lease"')
    expect(await to.rotations.claim('reports-sa')).toBeDefined()
  })

  it('T37: where both were rotated apart from each other, nothing is drawn from either', async () => {
    const clock = createFakeClock()
    const [here, there] = [createSide(clock), createSide(clock)]
    await here.credentials.add(keyCredential)
    await there.transfer.importSegment(await whole(here), plainly)
    await clock.advance(1000)
    await rotate(here, 'reports-sa')
    await rotate(there, 'reports-sa', later(clock.now(), seconds(5)))
    await here.transfer.importSegment(await whole(there), plainly)

    expect(await here.credentials.find('reports-sa')).toMatchObject({ state: 'disabled' })
  })
})

describe('T38: an export is vouched for by the key ring', () => {
  it('T38: one byte of the policy changed and the digest recomputed is refused', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    const edited = (await whole(from)).replace('the loose one', 'the loosE one')

    await expect(to.transfer.importSegment(await redigested(edited, true), plainly)).rejects.toThrow('MAC')
    expect(await keysIn(to.store)).toEqual([])
    const untouched = await redigested(await whole(from), true)
    await expect(to.transfer.importSegment(untouched, plainly)).resolves.toMatchObject({ isVouchedFor: true })
  })

  it('T38: without a MAC only credentials come that open, disabled, and nothing that is here changes', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    await from.credentials.setState('spare-sa', 'disabled')
    await to.credentials.add({ ...keyCredential, name: 'spare-sa' })
    const report = await to.transfer.importSegment(await redigested(await whole(from), false), plainly)

    expect(report.isVouchedFor).toBe(false)
    expect(await keysIn(to.store)).toEqual([
      'blocks/current',
      'credentials/calendar-user',
      'credentials/reports-sa',
      'credentials/spare-sa',
    ])
    expect(await to.credentials.find('reports-sa')).toMatchObject({ state: 'disabled' })
    expect(await to.credentials.find('spare-sa')).toMatchObject({ state: 'enabled' })
    const other = createSide(clock, otherKeys)
    const text = await redigested(await whole(from), false)
    await expect(other.transfer.importSegment(text, plainly)).rejects.toMatchObject({
      code: 'key_ring_unavailable',
    })
    expect(await keysIn(other.store)).toEqual([])
  })

  it('T38: parts of two exports do not make one', async () => {
    const side = createSide()
    await fill(side)
    const first = outlineOf(await side.transfer.exportSegment({ limit: 2 }))
    const other = outlineOf(
      await side.transfer.exportSegment({ limit: 2, ...(first.next && { after: first.next }) }),
    )
    const next = outlineOf(
      await side.transfer.exportSegment({ limit: 2, id: first.id, ...(first.next && { after: first.next }) }),
    )

    expect(() => requireNext(first, other)).toThrow('do not belong together')
    expect(() => requireNext(undefined, next)).toThrow('do not belong together')
    expect(() => requireNext(first, next)).not.toThrow()
  })

  it('T38: a document of the audit trail, or of no known kind, is refused', async () => {
    const clock = createFakeClock()
    const [from, to] = [createSide(clock), createSide(clock)]
    await fill(from)
    const text = (await whole(from)).replace('"credentials/spare-sa"', '"audit/001795220000-x"')

    await expect(to.transfer.importSegment(await redigested(text, false), plainly)).rejects.toThrow(
      'malformed',
    )
    expect(await keysIn(to.store)).toEqual([])
  })
})

/** As a rotation does that is over: a new version is active, the former one destroyed. */
async function rotate(side: Side, name: string, at = side.clock.now()): Promise<void> {
  const made = createSide({ ...side.clock, now: () => at })
  await made.credentials.add({ ...keyCredential, name })
  const [before, fresh] = await Promise.all([recordOf(side, name), recordOf(made, name)])
  const former = before.versions.map((held) => {
    const { sealed: _, ...version } = held
    return { ...version, state: 'destroyed' as const }
  })
  const after = { ...before, versions: [...former, ...fresh.versions] }
  await side.store.put(`credentials/${name}`, credentialDocumentOf(after))
}

async function recordOf(side: Side, name: string): Promise<CredentialRecord> {
  const record = recordIn(await side.store.get(`credentials/${name}`))
  if (record === undefined) throw new Error('it was enrolled')
  return record
}
