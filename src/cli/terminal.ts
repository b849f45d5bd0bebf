import type { Readable, Writable } from 'node:stream'

import type { BrokerDoor } from './dev/broker-process.ts'

/** Who gave the command, and where its words go. */
export interface Terminal {
  /** What stands after `downscope`. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Output
  readonly stderr: Output
  /** What `downscope dev` runs. */
  readonly door: BrokerDoor
}

export type Output = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly hasColors?: () => boolean
}

/** Whether somebody sits there who can be asked. */
export function isInteractive({ stdin, stderr }: Terminal): boolean {
  return stdin.isTTY === true && stderr.isTTY === true
}
