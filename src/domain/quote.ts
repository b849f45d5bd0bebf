/** Foreign text as part of a sentence, for logs and faults: quoted, escaped, on one line, and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}
