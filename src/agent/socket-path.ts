import { lstatSync, statSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, resolve } from 'node:path'

/** Why no socket may be made there, or nothing. Only a stale socket of our own is removed (THREATS T30). */
export async function prepareSocketPath(path: string): Promise<string | undefined> {
  const folder = dirname(resolve(path))
  const own = process.getuid?.() ?? 0
  const parent = statSync(folder, { throwIfNoEntry: false })
  if (parent === undefined || !parent.isDirectory()) return `${folder} is no folder`
  if (parent.uid !== own && parent.uid !== 0) return `${folder} belongs to another user`
  if ((parent.mode & 0o022) !== 0) return `others may write to ${folder}: chmod go-w ${folder}`
  const before = lstatSync(path, { throwIfNoEntry: false })
  if (before === undefined) return undefined
  if (!before.isSocket() || before.uid !== own) return `${path} exists already and is no socket of ours`
  if (await isAlive(path)) return `${path} is in use: does an agent run already?`
  unlinkSync(path)
  return undefined
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })
}
