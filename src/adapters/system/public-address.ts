import ipaddr from 'ipaddr.js'

/**
 * Whether an IP address is one of the public Internet: nothing private, shared (RFC 6598), link-local, loopback,
 * reserved or multicast, and no IPv6 address that stands for an IPv4 address (mapped, NAT64, 6to4, Teredo), because what
 * is reached through it may be any of these. False for what is no address.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  // The only block of IPv6 that unicast addresses are given from (RFC 4291 §2.4, IANA).
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.parseCIDR('2000::/3'))
}

/**
 * The same of a URL's host, as far as the host alone can say: a name is believed unless it is `localhost` or below it
 * (RFC 6761 §6.3). `hostname` is as the URL parser left it.
 */
export function isPublicHost(hostname: string): boolean {
  const host = hostname.replaceAll(/^\[|\]$|\.$/g, '')
  return ipaddr.isValid(host) ? isPublicAddress(host) : !/(?:^|\.)localhost$/.test(host)
}
