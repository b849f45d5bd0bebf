/** One element of DER (X.690 §8.1) with the parts that it holds, together fewer than 65,536 octets. */
export function derElement(tag: number, ...parts: readonly Iterable<number>[]): Uint8Array<ArrayBuffer> {
  const content = parts.flatMap((part) => [...part])
  const { length } = content
  const octets = length > 0xff ? [length >> 8, length & 0xff] : [length]
  return Uint8Array.from([tag, ...(length >= 0x80 ? [0x80 | octets.length] : []), ...octets, ...content])
}

export const derSequence = 0x30
