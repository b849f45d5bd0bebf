import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { versionStates, type VersionState } from '../../src/domain/credential.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { CredentialRecord, CredentialVersion } from '../../src/records/credential-record.ts'
import {
  addCandidate,
  connectRecord,
  destroyVersion,
  disableVersion,
  promoteVersion,
} from '../../src/records/version-changes.ts'

const start = epochSeconds(1_800_000_000)

function version(id: string, state: VersionState): CredentialVersion {
  return {
    id,
    state,
    identity: 'i',
    sealed: `sealed ${id}`,
    generation: 1,
    createdAt: start,
    changedAt: start,
  }
}

const fresh: CredentialRecord = {
  name: 'c',
  kind: 'service_account_key',
  upstream: 'google',
  state: 'enabled',
  versions: [version('v0', 'active')],
  health: { status: 'unknown', since: start },
  fence: 0,
  revision: 1,
  createdAt: start,
  updatedAt: start,
}

/** Every move there is, of any version, in any order. */
const moves = fc.array(
  fc.record({
    move: fc.constantFrom('add', 'promote', 'disable', 'destroy'),
    // The newest versions most of the time: with a random one hardly any move would be allowed.
    back: fc.oneof(fc.nat(2), fc.nat(20)),
  }),
  { maxLength: 60 },
)

function walk(steps: readonly { readonly move: string; readonly back: number }[]) {
  const records = [fresh]
  let refused = 0
  for (const [index, { move, back }] of steps.entries()) {
    const record = records.at(-1) ?? fresh
    const id = record.versions.at(-1 - (back % record.versions.length))?.id ?? ''
    try {
      records.push(apply(record, { move, id, now: epochSeconds(start + index + 1) }))
    } catch (error) {
      expect(error).toMatchObject({ code: 'state_conflict' })
      refused += 1
    }
  }
  return { records, refused }
}

function apply(
  record: CredentialRecord,
  {
    move,
    id,
    now,
  }: { readonly move: string; readonly id: string; readonly now: ReturnType<typeof epochSeconds> },
): CredentialRecord {
  if (move === 'add') return addCandidate(record, version(`v${now}`, 'candidate'))
  if (move === 'promote') return promoteVersion(record, id, now)
  return move === 'disable' ? disableVersion(record, id, now) : destroyVersion(record, id, now)
}

/** What one version may become; a retiring one becomes active again where the active one is disabled. */
const legal: Readonly<Record<VersionState, readonly VersionState[]>> = {
  candidate: ['active', 'disabled'],
  active: ['retiring', 'disabled'],
  retiring: ['disabled', 'active'],
  disabled: ['destroyed'],
  destroyed: [],
}

describe("a credential's versions, whatever is done to them", () => {
  test('exactly one is active, and at most one a candidate', () => {
    fc.assert(
      fc.property(moves, (steps) => {
        for (const { versions } of walk(steps).records) {
          const count = (wanted: VersionState) => versions.filter(({ state }) => state === wanted).length
          expect(count('active')).toBe(1)
          expect(count('candidate')).toBeLessThanOrEqual(1)
          expect(count('retiring')).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('each goes through its life by legal moves only, and notes when', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(moves, (steps) => {
        const { records } = walk(steps)
        for (const [index, after] of records.entries()) {
          for (const old of records[index - 1]?.versions ?? []) {
            const now = after.versions.find(({ id }) => id === old.id)
            if (now === undefined) expect(old.state).toBe('destroyed')
            else if (now.state !== old.state) {
              expect(legal[old.state]).toContain(now.state)
              expect(now.changedAt).toBeGreaterThan(old.changedAt)
              seen.add(`${old.state} ${now.state}`)
            }
          }
        }
      }),
      // A hundred walks miss one of the moves now and then.
      { numRuns: 1000 },
    )
    // Else the test would also hold for moves that never succeed.
    expect(seen.size).toBe(Object.values(legal).flat().length)
  })

  test('exactly the destroyed ones have no secret, and no more than ten of them are remembered', () => {
    fc.assert(
      fc.property(moves, (steps) => {
        for (const { versions } of walk(steps).records) {
          for (const { state, sealed } of versions) expect(sealed === undefined).toBe(state === 'destroyed')
          expect(versions.filter(({ state }) => state === 'destroyed').length).toBeLessThanOrEqual(10)
        }
      }),
    )
  })
})

describe('a move that is not allowed', () => {
  test.each(versionStates.filter((state) => state !== 'candidate' && state !== 'active'))(
    'a %s version is not promoted',
    (state) => {
      const record = { ...fresh, versions: [...fresh.versions, version('v1', state)] }

      expect(() => promoteVersion(record, 'v1', start)).toThrow(`is ${state}`)
    },
  )

  test('the only version that works is not disabled', () => {
    expect(() => disableVersion(fresh, 'v0', start)).toThrow('the only one that works')
  })

  test('a destroyed version whose key is still to be removed upstream is not forgotten', () => {
    const due = { ...version('due', 'destroyed'), removal: { dueAt: start, upstreamToo: true } }
    const many = Array.from({ length: 20 }, (_, index) => version(`d${index}`, 'destroyed'))
    const record = { ...fresh, versions: [due, ...many, version('v1', 'disabled'), ...fresh.versions] }

    expect(destroyVersion(record, 'v1', start).versions.map(({ id }) => id)).toContain('due')
  })

  test.each([{ kind: 'refresh_token' }, { upstream: 'shop' }] as const)(
    'a consent for %o takes the place of no other kind of secret and of no other upstream',
    (other) => {
      expect(() => connectRecord(fresh, { ...fresh, ...other }, start)).toThrow('it is a service_account_key')
      expect(connectRecord(fresh, fresh, start).revision).toBe(2)
    },
  )
})
