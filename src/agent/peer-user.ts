import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'

/** Whether the process at the other end of a TCP connection belongs to our own user. `undefined`: this system cannot say. */
export type IsOwnPeer = (socket: Socket) => Promise<boolean | undefined>

/**
 * Loopback is shared by all users of a machine; Linux says in /proc/net/tcp whose a socket is (THREATS T29). Fails
 * closed: a connection that is in no table is not our own. One reading serves all connections that wait for it.
 */
export function createIsOwnPeer(
  platform: string = process.platform,
  own: number | undefined = process.getuid?.(),
): IsOwnPeer {
  if (platform !== 'linux' || own === undefined) return async () => undefined
  let queued: Promise<readonly string[]> | undefined
  let last: Promise<unknown> = Promise.resolve()
  /** Begins after it was called, so that the connection is in it. */
  const readTables = (): Promise<readonly string[]> => {
    queued ??= last.then(() => {
      queued = undefined
      const reading = Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readTable))
      last = reading
      return reading
    })
    return queued
  }
  return async (socket) => {
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    if (remoteAddress === undefined || localAddress === undefined) return false
    const ends = [
      tableForms(remoteAddress, remotePort ?? 0),
      tableForms(localAddress, localPort ?? 0),
    ] as const
    const tables = await readTables()
    return ends[0].some((peer, index) =>
      tables.some((table) => userIn(table, peer, ends[1][index] ?? '') === own),
    )
  }
}

async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch {
    return ''
  }
}

/** The user of the socket with these two ends, seen from the peer; not of one that is only a memory (TIME_WAIT, 06). */
function userIn(table: string, peer: string, local: string): number | undefined {
  const ends = `: ${peer} ${local} `
  const at = table.indexOf(ends)
  if (at < 0) return undefined
  const [state, , , , user] = table.slice(at + ends.length, at + ends.length + 120).split(/\s+/)
  return state === '06' || user === undefined ? undefined : Number(user)
}

/** How the kernel writes an address and a port: each 32-bit word of it as a number of this machine. */
export function tableForms(address: string, port: number): readonly string[] {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(address)
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  if (v4 !== null) {
    const word = v4
      .slice(1)
      .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
      .toReversed()
      .join('')
    // A socket that speaks both protocols, as Java's, stands in the other table.
    return [`${word}${end}`, `0000000000000000FFFF0000${word}${end}`]
  }
  return address === '::1' ? [`00000000000000000000000001000000${end}`] : []
}
