import { describe, expect, test } from 'vitest'
import { createLineWriter } from '../../../src/adapters/system/stdout.ts'
import { createStdoutAuditTrail } from '../../../src/adapters/system/audit-trail.ts'
import { epochSeconds } from '../../../src/domain/time.ts'
import { createFakeSink, turn } from '../../support/fake-line-sink.ts'

describe('the audit trail on stdout', () => {
  test('P27: the records of one turn share one write, and their answers wait for it', async () => {
    const { sink, trail, settled } = create()

    for (let n = 0; n < 100; n += 1) trail(n)
    await turn()

    expect(sink.writes).toHaveLength(1)
    expect(sink.linesOf(0)).toHaveLength(100)
    expect(JSON.parse(sink.linesOf(0)[42] ?? '')).toMatchObject({ audit: { request_id: 'r42' } })
    expect(settled).toEqual([])

    sink.end()
    await turn()

    expect(settled).toEqual(Array.from({ length: 100 }, () => 'written'))
  })

  test('P27: a write that fails rejects all of its records, and the next write is tried again', async () => {
    const { sink, trail, settled } = create()

    for (let n = 0; n < 3; n += 1) trail(n)
    await turn()
    sink.end(new Error('EPIPE'))
    trail(3)
    await turn()
    sink.end()
    await turn()

    expect(settled).toEqual(['audit_unavailable', 'audit_unavailable', 'audit_unavailable', 'written'])
  })
})

function create() {
  const sink = createFakeSink()
  const audit = createStdoutAuditTrail({ ...createLineWriter(sink), instance: 'instance-1' })
  const settled: string[] = []
  const trail = (n: number): void => {
    Promise.resolve(audit(record(n))).then(
      () => settled.push('written'),
      (error: unknown) =>
        settled.push(error instanceof Error && 'code' in error ? String(error.code) : 'bug'),
    )
  }
  return { sink, trail, settled }
}

function record(n: number) {
  return {
    requestId: `r${n}`,
    at: epochSeconds(1_800_000_000),
    action: 'token.exchange',
    outcome: 'issued',
    durationMs: 1,
  } as const
}
