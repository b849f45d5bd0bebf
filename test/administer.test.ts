import { describe, expect, it } from 'vitest'
import { createAuditTrails } from '../src/records/audit-log.ts'
import { createAdminister, type AdminContext, type AdministerDeps } from '../src/administer.ts'
import type { AuditRecord } from '../src/domain/audit-record.ts'
import { BrokerError } from '../src/domain/broker-error.ts'
import type { Caller } from '../src/domain/caller.ts'
import type { Proof } from '../src/domain/exchange-request.ts'
import { Secret } from '../src/domain/secret.ts'
import { createFakeClock } from './support/fake-clock.ts'

const caller: Caller = { issuer: 'https://ops.example', issuerName: 'ops', subject: 'operator', claims: {} }

function createWorld(changes: Partial<AdministerDeps> = {}) {
  const records: AuditRecord[] = []
  const proofs: Proof[] = []
  const clock = createFakeClock()
  const administer = createAdminister({
    countRequest: () => Promise.resolve(),
    authenticate: async (proof) => {
      proofs.push(proof)
      return caller
    },
    authorizeAdmin: async () => 'operator',
    audit: async (record) => {
      records.push(record)
    },
    clock,
    ...changes,
  })
  return { administer, records, proofs, clock }
}

function act<T>(perform: () => Promise<T>): AdminContext<T> {
  return {
    requestId: 'r-1',
    bearer: new Secret('a.b.c'),
    action: 'credential.disable',
    needed: 'operator',
    about: { credential: 'reports-sa' },
    perform,
  }
}

const broken =
  (code: 'admin_unauthenticated' | 'admin_forbidden' | 'store_unavailable' | 'not_found') => () =>
    Promise.reject(new BrokerError(code, { reason: `why ${code}` }))

describe('P27: one act of administration leaves one record', () => {
  it('P27: what was done is recorded with who, what and how long, before the result is there', async () => {
    const { administer, records, proofs, clock } = createWorld()
    const result = await administer(
      act(async () => {
        await clock.advance(12)
        return 'result'
      }),
    )
    expect(result).toBe('result')
    expect(proofs).toMatchObject([{ form: 'admin_bearer' }])
    expect(proofs[0]?.assertion.reveal()).toBe('a.b.c')
    expect(records).toEqual([
      {
        requestId: 'r-1',
        at: clock.now(),
        action: 'credential.disable',
        outcome: 'done',
        credential: 'reports-sa',
        issuer: 'https://ops.example',
        caller: 'operator',
        durationMs: 12,
      },
    ])
  })

  it('P27: no bearer token is refused, recorded, and nothing is done', async () => {
    const { administer, records, proofs } = createWorld()
    const done: string[] = []
    const context = { ...act(async () => done.push('done')), bearer: undefined }
    await expect(administer(context)).rejects.toMatchObject({ code: 'admin_unauthenticated' })
    expect(records).toMatchObject([{ outcome: 'refused', error: 'admin_unauthenticated' }])
    expect(records[0]).not.toHaveProperty('caller')
    expect([done, proofs]).toEqual([[], []])
  })

  it('P27: who does not verify is refused, recorded without a name, and nothing is done', async () => {
    const { administer, records } = createWorld({ authenticate: broken('admin_unauthenticated') })
    const done: string[] = []
    await expect(administer(act(async () => done.push('done')))).rejects.toMatchObject({
      code: 'admin_unauthenticated',
    })
    expect(records).toMatchObject([{ outcome: 'refused', reason: 'why admin_unauthenticated' }])
    expect(records[0]).not.toHaveProperty('caller')
    expect(done).toEqual([])
  })

  it('P27: who has not the role is refused, recorded by name, and nothing is done', async () => {
    const { administer, records } = createWorld({ authorizeAdmin: broken('admin_forbidden') })
    const done: string[] = []
    await expect(administer(act(async () => done.push('done')))).rejects.toMatchObject({
      code: 'admin_forbidden',
    })
    expect(records).toMatchObject([{ outcome: 'refused', error: 'admin_forbidden', caller: 'operator' }])
    expect(done).toEqual([])
  })

  it('P27: the role is asked for as the act needs it', async () => {
    const asked: unknown[] = []
    const { administer } = createWorld({
      authorizeAdmin: async (who, needed) => {
        asked.push([who.subject, needed])
        return 'operator'
      },
    })
    await administer(act(async () => 1))
    expect(asked).toEqual([['operator', 'operator']])
  })

  it('P27: a refusal is told from a failure of what we stand on, and both from a bug', async () => {
    const { administer, records } = createWorld()
    await expect(administer(act(broken('not_found')))).rejects.toMatchObject({ code: 'not_found' })
    await expect(administer(act(broken('store_unavailable')))).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    await expect(administer(act(() => Promise.reject(new TypeError('ya29.x'))))).rejects.toThrow(TypeError)
    expect(records).toMatchObject([
      { outcome: 'refused', error: 'not_found' },
      { outcome: 'failed', error: 'store_unavailable' },
      { outcome: 'failed', error: 'bug' },
    ])
    expect(JSON.stringify(records)).not.toContain('ya29')
  })

  it('P27: perform that throws at once is recorded like one that rejects', async () => {
    const { administer, records } = createWorld()
    const context = act(() => {
      throw new BrokerError('not_found', { reason: 'at once' })
    })
    await expect(administer(context)).rejects.toMatchObject({ code: 'not_found' })
    expect(records).toHaveLength(1)
  })
})

describe('P27: no record, no answer', () => {
  const audit = [
    () => Promise.reject(new Error('disk full ya29.x')),
    broken('store_unavailable'),
    () => {
      throw new Error('at once')
    },
  ]

  it.each(audit)('P27: what was done is not told when its record cannot be written (%#)', async (trail) => {
    const { administer } = createWorld({ audit: createAuditTrails([trail]) })
    const failure: unknown = await administer(act(async () => 'result')).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'audit_unavailable' })
    expect(String(failure)).not.toContain('ya29')
  })

  it.each(audit)('P27: nor is a refusal (%#)', async (trail) => {
    const { administer } = createWorld({ audit: createAuditTrails([trail]) })
    await expect(administer(act(broken('not_found')))).rejects.toMatchObject({ code: 'audit_unavailable' })
  })

  it('P27: the answer waits until the record is written', async () => {
    let write = () => {}
    const { administer } = createWorld({ audit: () => new Promise((written) => (write = written)) })
    let answered = false
    const answer = administer(act(async () => 1)).then(() => (answered = true))
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
    expect(answered).toBe(false)
    write()
    await answer
    expect(answered).toBe(true)
  })
})
