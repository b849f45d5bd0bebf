/**
 * Whether a host is this very machine: the only one that may be spoken to without TLS. `hostname` is as the URL parser
 * left it: `127.1` and `0x7f000001` have become `127.0.0.1`. RFC 6761 §6.3, RFC 1122 §3.2.1.3, RFC 4291 §2.5.3.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
