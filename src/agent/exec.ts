import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Environment } from './proofs.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ChildPlace {
  readonly authority: string
  readonly projectId?: string | undefined
}

/** Nobody but the agent may prove who this workload is (THREATS T31). */
const proofVariables = /^(?:DOWNSCOPE_.*|ACTIONS_ID_TOKEN_REQUEST_(?:URL|TOKEN))$/
/** What would make a client pass by the metadata server. */
const detours: readonly string[] = [
  'GOOGLE_APPLICATION_CREDENTIALS',
  'NO_GCE_CHECK',
  'CLOUDSDK_CORE_CHECK_GCE_METADATA',
  'METADATA_SERVER_DETECTION',
]

/**
 * The environment in which Google's clients ask the agent: each of the three variables is the only one that some of
 * them read (WIRE §4.1).
 */
export function childEnvironment(env: Environment, { authority, projectId }: ChildPlace): Environment {
  const direct = [env['NO_PROXY'] ?? env['no_proxy'] ?? '', authority.replace(/:\d+$/, '')]
  const noProxy = direct.filter((host) => host !== '').join(',')
  const kept = Object.entries(env).filter(([name]) => !proofVariables.test(name) && !detours.includes(name))
  return {
    ...omitUndefined({ GOOGLE_CLOUD_PROJECT: projectId }),
    ...Object.fromEntries(kept),
    GCE_METADATA_HOST: authority,
    GCE_METADATA_IP: authority,
    GCE_METADATA_ROOT: authority,
    METADATA_SERVER_DETECTION: 'assume-present',
    NO_PROXY: noProxy,
    no_proxy: noProxy,
  }
}

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Runs a command to its end and resolves with its status, as a shell gives it: 128 + N for signal N, 127 for no such command. */
export function runCommand(
  [program = '', ...args]: readonly string[],
  env: Environment,
  write: (text: string) => void,
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env })
    const pass = (signal: NodeJS.Signals): void => {
      // Ctrl-C in a terminal reaches the command by itself: it is of the same process group.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    }
    for (const signal of passedOn) process.on(signal, pass)
    const end = (status: number): void => {
      for (const signal of passedOn) process.off(signal, pass)
      resolve(status)
    }
    child.once('error', (error: Error & { readonly code?: string }) => {
      const isMissing = error.code === 'ENOENT'
      write(
        `downscope agent: ${program}: ${isMissing ? 'there is no such command' : (error.code ?? 'it cannot be started')}\n`,
      )
      end(isMissing ? 127 : 126)
    })
    child.once('exit', (status, signal) => {
      end(status ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
