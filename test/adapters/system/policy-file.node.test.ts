import { mkdir, mkdtemp, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFilePolicySource } from '../../../src/adapters/system/policy-file.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'

let folder = ''
let path = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'policy-'))
  path = join(folder, 'policy.yaml')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the policy in a file', () => {
  test('is read once and then only when it changed', async () => {
    await writeFile(path, 'version: 1 # é\n')
    const source = createFilePolicySource({ path })

    const first = await source.read()
    const again = await source.read(first?.revision)
    const anew = await source.read()

    expect(first).toMatchObject({ text: 'version: 1 # é\n', origin: `file ${path}` })
    expect(again).toBeUndefined()
    expect(anew).toEqual(first)
  })

  test('is seen after an edit in place, also one that keeps length and time', async () => {
    const write = async (text: string): Promise<bigint> => {
      await writeFile(path, text)
      await utimes(path, 1, 1)
      return (await stat(path, { bigint: true })).ctimeNs
    }
    const before = await write('version: 1')
    const source = createFilePolicySource({ path })
    const first = await source.read()

    // The clock of a file system ticks every few milliseconds: two writes between ticks are one to everybody.
    while ((await write('version: 2')) === before);
    const second = await source.read(first?.revision)

    expect(second?.text).toBe('version: 2')
    expect(second?.revision).not.toBe(first?.revision)
  })

  test('is seen after another file was renamed over it', async () => {
    await writeFile(path, 'version: 1')
    const source = createFilePolicySource({ path })
    const first = await source.read()

    await writeFile(`${path}.new`, 'version: 2')
    await rename(`${path}.new`, path)

    expect((await source.read(first?.revision))?.text).toBe('version: 2')
  })

  test('is seen after Kubernetes swapped the symbolic link of a ConfigMap', async () => {
    await mkdir(join(folder, '..1'))
    await mkdir(join(folder, '..2'))
    for (const n of [1, 2]) {
      await writeFile(join(folder, `..${n}`, 'policy.yaml'), `version: ${n}`)
      await utimes(join(folder, `..${n}`, 'policy.yaml'), 1, 1)
    }
    await symlink('..1', join(folder, '..data'))
    await symlink(join('..data', 'policy.yaml'), path)
    const source = createFilePolicySource({ path })
    const first = await source.read()

    await symlink('..2', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))

    expect(first?.text).toBe('version: 1')
    expect((await source.read(first?.revision))?.text).toBe('version: 2')
  })

  test('P25: a missing file is a refusal, and the file is read when it is back', async () => {
    const source = createFilePolicySource({ path })

    await expect(source.read()).rejects.toMatchObject({
      code: 'policy_unavailable',
      reason: `the policy file ${path} cannot be read: ENOENT`,
    })
    await writeFile(path, 'version: 1')
    expect((await source.read())?.text).toBe('version: 1')
  })

  test('P25: what is no text of at most 4 MiB is refused', async () => {
    const source = createFilePolicySource({ path })
    const reason = (): Promise<unknown> =>
      source.read().then(
        () => 'none',
        (error: unknown) => error instanceof BrokerError && error.reason,
      )

    await writeFile(path, Buffer.from([0xc3, 0x28]))
    expect(await reason()).toBe(`the policy file ${path} is not UTF-8`)
    await writeFile(path, '')
    await truncate(path, 4 * 2 ** 20)
    expect((await source.read())?.text).toHaveLength(4 * 2 ** 20)
    await truncate(path, 4 * 2 ** 20 + 1)
    expect(await reason()).toBe(`the policy file ${path} has more than 4194304 bytes`)
  })

  test('a folder or a device is no policy', async () => {
    for (const place of [folder, '/dev/zero'])
      await expect(createFilePolicySource({ path: place }).read()).rejects.toMatchObject({
        code: 'policy_unavailable',
        reason: `the policy file ${place} is not a regular file`,
      })
  })
})
