import { connect } from 'node:net'

const hangMsMax = 8_000

/**
 * Says `first`, and then `more` until there is none, and resolves with all that was heard when the other side
 * ends.
 */
export function converse(
  port: number,
  first: string | Buffer,
  more?: () => string | undefined,
): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect({ host: '127.0.0.1', port })
    const goOn = (): void => {
      for (let next = more?.(); next !== undefined; next = more?.()) if (!socket.write(next)) return
    }
    socket.on('data', (octets) => (heard += octets.toString('latin1')))
    socket.on('error', () => {})
    socket.on('drain', goOn)
    socket.once('close', () => resolve(heard))
    // Whoever is not hung up on waits for nothing: what was said by then is what is judged.
    socket.setTimeout(hangMsMax, () => socket.destroy())
    socket.write(first, goOn)
  })
}
