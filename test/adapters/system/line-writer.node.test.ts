import { describe, expect, test } from 'vitest'
import { createLineWriter } from '../../../src/adapters/system/stdout.ts'
import { createFakeSink, turn } from '../../support/fake-line-sink.ts'

describe('the line writer', () => {
  test('keeps the order of all that write to it', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)

    for (const line of ['audit 1', 'log 1', 'audit 2']) void writer.write(line)
    await turn()

    expect(sink.writes).toEqual(['audit 1\nlog 1\naudit 2\n'])
  })

  test('has one write under way; what comes meanwhile shares the next', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)
    void writer.write('1')
    await turn()
    for (const line of ['2', '3', '4']) {
      void writer.write(line)
      await turn()
    }
    expect(sink.writes).toEqual(['1\n'])

    sink.end()

    expect(sink.writes).toEqual(['1\n', '2\n3\n4\n'])
  })

  test('the lines of a turn stay together when a write ends in its middle', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)
    void writer.write('1')
    await turn()

    void writer.write('2')
    sink.end()
    void writer.write('3')
    await turn()

    expect(sink.writes).toEqual(['1\n', '2\n3\n'])
  })

  test('P24: lines are refused when the sink takes none, and taken again when it does', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)
    const megabyte = 'x'.repeat(2 ** 20)
    void writer.write('1')
    await turn()
    for (let n = 0; n < 7; n += 1) void writer.write(megabyte)

    await expect(writer.write(megabyte)).rejects.toThrow('too much waits')
    await turn()
    sink.end()

    sink.end()
    const written = writer.write('2')
    await turn()
    sink.end()
    await expect(written).resolves.toBeUndefined()
  })

  test('P20: a line that the sink does not take in time is a failure, and is written when it does', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink, 1)
    const stuck = writer.write('1')
    await turn()
    const behind = writer.write('2')

    await expect(stuck).rejects.toThrow('nobody takes the output')
    await expect(behind).rejects.toThrow('nobody takes the output')
    const flushed = writer.flush()
    sink.end()
    sink.end()
    await flushed
    expect(sink.writes).toEqual(['1\n', '2\n'])
  })

  test('a dropped promise of a failed write ends nothing', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)

    void writer.write('1')
    await turn()
    sink.end(new Error('EPIPE'))
    await turn()

    expect(sink.writes).toHaveLength(1)
  })

  test('a flush ends when all that was waiting is written or failed', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)
    void writer.write('1')
    await turn()
    void writer.write('2')
    let isFlushed = false

    const flushed = writer.flush().then(() => (isFlushed = true))
    sink.end()
    await turn()
    expect(isFlushed).toBe(false)
    sink.end(new Error('EPIPE'))

    await flushed
    expect(sink.writes).toEqual(['1\n', '2\n'])
    await writer.flush()
  })

  test('at the exit of a process all that is left is written before it returns', async () => {
    const sink = createFakeSink()
    const writer = createLineWriter(sink)
    void writer.write('1')
    await turn()
    void writer.write('2')

    writer.writeNow()
    writer.writeNow()

    expect(sink.writes).toEqual(['1\n', '2\n'])
  })
})
