import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { softwareVersion } from '../../src/domain/version.ts'
import { jsonMembers } from '../support/json-members.ts'
import { repository, runProgram } from '../support/run-node.ts'

const launcher = join(repository, 'infra/downscope.mjs')
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-launcher-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('infra/downscope.mjs', () => {
  test('runs the command line, and ends with its status', async () => {
    const run = (...args: string[]) => runProgram(process.execPath, [launcher, ...args], { cwd: folder })

    expect(await run('--version')).toEqual({ status: 0, stdout: `${softwareVersion}\n`, stderr: '' })
    expect(await run('credentials', 'shw')).toMatchObject({ status: 2, stdout: '' })
  })

  test('an older Node starts the one that set-up installed', async () => {
    // It says that it is old, and is otherwise the Node that runs this.
    const old = join(folder, 'old.mjs')
    await writeFile(old, "Object.defineProperty(process.versions, 'node', { value: '20.11.0' })\n")
    const args = ['--import', old, launcher, '--version']

    expect(await runProgram(process.execPath, args, { cwd: folder })).toEqual({
      status: 0,
      stdout: `${softwareVersion}\n`,
      stderr: '',
    })
  })

  test('in a clone that is not set up it says what to do', async () => {
    await mkdir(join(folder, 'clone/infra'), { recursive: true })
    await symlink(join(repository, 'src'), join(folder, 'clone/src'))
    const copy = join(folder, 'clone/infra/downscope.mjs')
    await copyFile(launcher, copy)

    expect(await runProgram(process.execPath, [copy, '--version'], { cwd: folder })).toEqual({
      status: 2,
      stdout: '',
      stderr: 'downscope: not set up yet. In its folder: npm run setup\n',
    })
  })

  test('package.json names it as the command', async () => {
    const { bin } = jsonMembers(await readFile(join(repository, 'package.json'), 'utf8'))

    expect(bin).toEqual({ downscope: 'infra/downscope.mjs' })
  })
})
