import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown

/**
 * From now on nothing in this process reaches beyond loopback: TCP (so also TLS, HTTP, HTTP/2, gRPC, fetch),
 * UDP and name look-ups throw, and each attempt is told to `report` first, so that code which swallows the
 * error is seen all the same. Child processes are not covered.
 */
export function blockOutbound(report: (attempt: string) => void): void {
  const refuse = (attempt: string): never => {
    report(attempt)
    throw new Error(`a test may not leave this machine: ${attempt}`)
  }
  guard(net.Socket.prototype, 'connect', (args) => {
    const target = connectTarget(args)
    if (target !== undefined && !isLoopback(target)) refuse(`connect to ${target}`)
  })
  guard(dgram.Socket.prototype, 'send', (args) => {
    // send(message, [offset, length,] [port,] [address,] [callback]): only an address is a later string.
    const address = args.slice(1).find((arg) => typeof arg === 'string')
    if (address !== undefined && !isLoopback(address)) refuse(`datagram to ${address}`)
  })
  guard(dgram.Socket.prototype, 'connect', (args) => {
    if (typeof args[1] === 'string' && !isLoopback(args[1])) refuse(`datagram to ${args[1]}`)
  })
  for (const owner of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (!/^(?:lookup|lookupService|reverse|resolve[A-Za-z0-9]*)$/.test(name)) continue
      guard(owner, name, ([host]) => {
        if (typeof host === 'string' && !isLoopback(host)) refuse(`look-up of ${host}`)
      })
    }
  }
  // Named imports of built-ins (`import { lookup } from 'node:dns'`) follow.
  syncBuiltinESMExports()
}

/** True for a name or address that can only be this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (name === '' || name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true
  const address = name.startsWith('::ffff:') ? name.slice('::ffff:'.length) : name
  return net.isIPv4(address) && address.startsWith('127.')
}

/** Puts `check` before a method. Look-ups answer with a rejected promise or a throw, as the method would. */
function guard(owner: object, name: string, check: (args: readonly unknown[]) => void): void {
  const original: unknown = Reflect.get(owner, name)
  if (typeof original !== 'function') return
  const guarded: AnyFunction = function (...args) {
    check(args)
    return Reflect.apply(original, this, args)
  }
  Object.defineProperty(owner, name, { value: guarded, configurable: true, writable: true })
}

/** The host of `socket.connect(…)`; undefined for a path on this machine, which cannot leave it. */
function connectTarget(args: readonly unknown[]): string | undefined {
  // net.connect() and tls.connect() hand over an already normalized [options, callback].
  const first: unknown = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (typeof first === 'object' && first !== null) {
    if ('path' in first && typeof first.path === 'string') return undefined
    return 'host' in first && typeof first.host === 'string' ? first.host : 'localhost'
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return undefined
  return typeof args[1] === 'string' ? args[1] : 'localhost'
}
