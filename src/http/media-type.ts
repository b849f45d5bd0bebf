/** The type a Content-Type header names, in lower case and without its parameters. */
export function mediaType(header: string | null): string | undefined {
  if (header === null) return undefined
  const end = header.indexOf(';')
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase()
}
