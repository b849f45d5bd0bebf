/** A cookie that no other host can set or read, and that JavaScript cannot read (RFC 6265bis §4.1.3.2). */
export function setCookie(name: CookieName, value: string, seconds: number): string {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Lax`
}

export function clearCookie(name: CookieName): string {
  return setCookie(name, '', 0)
}

export type CookieName = `__Host-downscope_${string}`

/** `undefined` without it, and when it came twice. */
export function cookieOf(request: Request, name: CookieName): string | undefined {
  const found = (request.headers.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined
}
