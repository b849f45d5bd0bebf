/**
 * Protocol Buffers' encoding, as far as sealed boundaries need it: numbers, and fields with a length. Source:
 * https://protobuf.dev/programming-guides/encoding/
 */
export type Octets = Uint8Array<ArrayBuffer>

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** A field that is a number or a truth value, from 0 to 2^32 - 1. */
export function numberField(field: number, value: number): Octets {
  return join([varint(field * 8 + wireTypes.varint), varint(value)])
}

/** A field that is a text, octets or a message. */
export function bytesField(field: number, value: string | Octets): Octets {
  const octets = typeof value === 'string' ? new Uint8Array(encoder.encode(value)) : value
  return join([varint(field * 8 + wireTypes.bytes), varint(octets.length), octets])
}

const encoder = new TextEncoder()

export function join(parts: readonly Octets[]): Octets {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function varint(value: number): Octets {
  if (value < 0x80) return Uint8Array.of(value)
  return join([Uint8Array.of((value % 0x80) + 0x80), varint(Math.floor(value / 0x80))])
}

/** The fields of a message by their numbers, in the order in which they came. */
export interface Message {
  /** Of a number that was repeated the last one counts; 0 where there is none. */
  number(field: number): number
  bytes(field: number): Octets | undefined
  all(field: number): readonly Octets[]
}

/** `undefined` for what is cut short, is no message, or holds a number beyond 2^53. */
export function readMessage(octets: Octets): Message | undefined {
  const numbers = new Map<number, number>()
  const bytes = new Map<number, Octets[]>()
  let at = 0
  const readVarint = (): number | undefined => {
    let value = 0
    for (let scale = 1; at < octets.length && scale < 2 ** 70; scale *= 0x80) {
      const octet = octets[at] ?? 0
      at += 1
      value += (octet & 0x7f) * scale
      if (octet < 0x80) return Number.isSafeInteger(value) ? value : undefined
    }
    return undefined
  }
  const readBytes = (length: number | undefined): Octets | undefined => {
    if (length === undefined || at + length > octets.length) return undefined
    at += length
    return octets.slice(at - length, at)
  }
  while (at < octets.length) {
    const tag = readVarint()
    if (tag === undefined || tag < 8) return undefined
    const field = Math.floor(tag / 8)
    switch (tag % 8) {
      case wireTypes.varint: {
        const value = readVarint()
        if (value === undefined) return undefined
        numbers.set(field, value)
        break
      }
      case wireTypes.bytes: {
        const value = readBytes(readVarint())
        if (value === undefined) return undefined
        bytes.set(field, [...(bytes.get(field) ?? []), value])
        break
      }
      case wireTypes.fixed64:
      case wireTypes.fixed32:
        if (readBytes(tag % 8 === wireTypes.fixed64 ? 8 : 4) === undefined) return undefined
        break
      default:
        return undefined
    }
  }
  return {
    number: (field) => numbers.get(field) ?? 0,
    bytes: (field) => bytes.get(field)?.at(-1),
    all: (field) => bytes.get(field) ?? [],
  }
}
