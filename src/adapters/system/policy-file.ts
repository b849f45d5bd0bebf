import type { BigIntStats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { BrokerError } from '../../domain/broker-error.ts'
import type { PolicySource } from '../../ports/policy-source.ts'

const bytesMax = 4 * 2 ** 20

/**
 * The policy in a file, seen again as soon as it is edited in place, renamed over, or swapped behind a symbolic link
 * (as Kubernetes does with a ConfigMap). An unchanged file costs one `stat`. At most 4 MiB of UTF-8.
 */
export function createFilePolicySource({ path }: { readonly path: string }): PolicySource {
  const origin = `file ${path}`

  const read = async (known?: string) => {
    const found = await stat(path, { bigint: true })
    if (revisionOf(found) === known) return undefined
    // Before it is opened: opening a pipe would wait for its writer.
    checkFile(found)
    const file = await open(path)
    try {
      // Of the file that is open, and before its text: a change while reading is a new revision.
      const opened = await file.stat({ bigint: true })
      checkFile(opened)
      return { text: await readText(file), revision: revisionOf(opened), origin }
    } finally {
      await file.close()
    }
  }

  const checkFile = (stats: BigIntStats): void => {
    if (!stats.isFile()) throw unavailable(`the policy ${origin} is not a regular file`)
    if (stats.size > bytesMax) throw tooLarge()
  }

  const readText = async (file: FileHandle): Promise<string> => {
    const octets = new Uint8Array(bytesMax + 1)
    let length = 0
    while (length < octets.length) {
      const { bytesRead } = await file.read(octets, length, octets.length - length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length > bytesMax) throw tooLarge()
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(octets.subarray(0, length))
    } catch {
      throw unavailable(`the policy ${origin} is not UTF-8`)
    }
  }

  const tooLarge = (): BrokerError => unavailable(`the policy ${origin} has more than ${bytesMax} bytes`)

  return {
    read: async (known) => {
      try {
        return await read(known)
      } catch (cause) {
        if (cause instanceof BrokerError) throw cause
        throw unavailable(`the policy ${origin} cannot be read: ${codeOf(cause)}`, cause)
      }
    },
  }
}

function revisionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join('-')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
}

function unavailable(reason: string, cause?: unknown): BrokerError {
  return new BrokerError('policy_unavailable', { reason, cause })
}
