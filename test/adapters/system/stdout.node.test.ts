import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createLineWriter, createFileSink } from '../../../src/adapters/system/stdout.ts'

const source = fileURLToPath(new URL('../../../src/adapters/system/stdout.ts', import.meta.url))
const prelude = `
  import { createStdoutWriter } from ${JSON.stringify(source)}
  const writer = createStdoutWriter()
  const write = (count) => {
    for (let n = 0; n < count; n += 1) writer.write(n + 'x'.repeat(100))
  }`

describe('standard output', () => {
  test.each([
    ['returns', ''],
    ['exits in the middle of a turn', 'process.exit(0)'],
    ['ends by an exception that nobody caught', 'throw new Error("boom")'],
  ])('a process that %s leaves no line behind, though its reader is slow', async (_, ending) => {
    // More than a pipe holds, twice.
    const child = start(`${prelude}\nwrite(5000); setImmediate(() => { write(5000); ${ending} })`)

    const lines = (await text(child.stdout)).split('\n')

    expect(lines).toHaveLength(10_001)
    expect(lines[9999]).toBe(`4999${'x'.repeat(100)}`)
  })

  test('a reader that stalls does not stop the process, and loses nothing', async () => {
    const child = start(`${prelude}
      write(10000)
      setTimeout(() => process.stderr.write('alive'), 50)`)

    const alive = await new Promise((resolve) => child.stderr.once('data', resolve))
    const lines = (await text(child.stdout)).split('\n')

    expect(String(alive)).toBe('alive')
    expect(lines).toHaveLength(10_001)
  })

  test('a reader that is gone fails the write and does not end the process', async () => {
    const child = start(`${prelude}
      process.stdin.once('data', async () => {
        const outcome = await writer.write('late').then(() => 'written', (error) => error.code)
        process.stderr.write(outcome, () => process.exit(0))
      })`)
    child.stdout.destroy()
    child.stdin.write('go')

    expect(await text(child.stderr)).toBe('EPIPE')
  })

  test('a file gets every line, and a closed one fails the write', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lines-'))
    const fd = openSync(join(folder, 'log'), 'a')
    const writer = createLineWriter(createFileSink(fd))

    await Promise.all(['a', 'é', 'c'].map((line) => writer.write(line)))
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('a\né\nc\n')

    closeSync(fd)
    await expect(writer.write('d')).rejects.toMatchObject({ code: 'EBADF' })
    await rm(folder, { recursive: true })
  })

  test('P27: after a full disk the next line is one of its own, and a torn one stays alone', async () => {
    let space = 12
    let written = ''
    const disk = (_fd: number, octets: Uint8Array, offset: number): number => {
      const taken = octets.subarray(offset, offset + space)
      if (taken.length === 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      space -= taken.length
      written += Buffer.from(taken).toString()
      return taken.length
    }
    const writer = createLineWriter(createFileSink(0, disk))
    await writer.write('{"n":1}')
    await expect(writer.write('{"n":2}')).rejects.toMatchObject({ code: 'ENOSPC' })
    await expect(writer.write('{"n":3}')).rejects.toMatchObject({ code: 'ENOSPC' })
    space = 1_000
    await Promise.all([writer.write('{"n":4}'), writer.write('{"n":5}')])
    await writer.write('{"n":6}')

    expect(written.split('\n')).toEqual(['{"n":1}', '{"n"', '{"n":4}', '{"n":5}', '{"n":6}', ''])
  })
})

function start(script: string) {
  return spawn(process.execPath, ['--input-type=module', '-e', script])
}
