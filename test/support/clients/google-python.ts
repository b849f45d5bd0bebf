import { execFile, spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Google's Python library as gcloud brings it along, or why it is not to be had. */
export type GooglePython =
  | {
      readonly found: true
      readonly version: string
      /** Runs a program that can reach loopback only; what it printed. */
      readonly run: (program: string, more: PythonRun) => Promise<string>
    }
  | { readonly found: false; readonly gcloud: boolean; readonly why: string }

export interface PythonRun {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export function findGooglePython(path: string = process.env['PATH'] ?? ''): GooglePython {
  const gcloud = path
    .split(delimiter)
    .map((folder) => join(folder, 'gcloud'))
    .find((file) => existsSync(file))
  if (gcloud === undefined) return { found: false, gcloud: false, why: 'no gcloud on the PATH' }
  const root = join(realpathSync(gcloud), '../..')
  const library = join(root, 'lib/third_party')
  if (!existsSync(join(library, 'google/auth/identity_pool.py')))
    return { found: false, gcloud: true, why: 'gcloud brings no google-auth' }
  const bundled = join(root, 'platform/bundledpythonunix/bin/python3')
  const python = existsSync(bundled) ? bundled : 'python3'
  const env = { PATH: path, PYTHONPATH: library, PYTHONDONTWRITEBYTECODE: '1', NO_PROXY: '*' }
  const probe = spawnSync(python, ['-c', probeProgram], { env, encoding: 'utf8' })
  if (probe.status !== 0) return { found: false, gcloud: true, why: 'no python3 that can load google-auth' }
  return {
    found: true,
    version: probe.stdout.trim(),
    run: async (program, { args, env: more = {} }) => {
      const { stdout } = await run(python, ['-c', `${loopbackOnly}${program}`, ...args], {
        env: { ...env, ...more },
      })
      return stdout
    },
  }
}

const probeProgram = `
import google.auth.identity_pool, google.auth.transport.requests
from google.auth import version
print(version.__version__)
`

const loopbackOnly = `
import socket
def guarded(reach, host_of):
    def checked(*args, **named):
        host = host_of(args)
        if host is not None and host not in ('127.0.0.1', '::1', 'localhost'):
            raise RuntimeError('a test may not leave this machine: ' + str(host))
        return reach(*args, **named)
    return checked
def target(args):
    return None if args[0].family == socket.AF_UNIX else args[1][0]
class LoopbackSocket(socket.socket):
    connect = guarded(socket.socket.connect, target)
    connect_ex = guarded(socket.socket.connect_ex, target)
socket.socket = LoopbackSocket
socket.getaddrinfo = guarded(socket.getaddrinfo, lambda args: args[0])
`
