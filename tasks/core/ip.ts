// IP addresses as text: the form in which they are compared, how they stand in URLs, and which no host can have.
import { isIP, isIPv6 } from 'node:net'

/** In the form of RFC 5952 (lower case, compressed), as etcd and Ansible are told it; what is no IPv6, as it is. */
export const canonical = (address: string): string =>
  isIPv6(address) && !address.includes('%') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address

/** Before a port, and in a URL: an IPv6 address stands in brackets there (RFC 3986, 3.2.2). */
export const withPort = (address: string, port: number): string =>
  `${isIPv6(address) ? `[${address}]` : address}:${port}`

/** A URL's address, without brackets, and its port. */
export function addressIn(url: string): { address: string; port: number } {
  const { hostname, port } = new URL(url)
  return { address: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}

/**
 * Why an address cannot be one host's, as a clause after "the address …,"; undefined where it can. IPv4: those of
 * 0.0.0.0/8, and from 224.0.0.0 on, are nobody's (RFC 6890). The role has the same rule (etcd_addresses.py).
 */
export function whyNoHosts(address: string): string | undefined {
  const nobodys = 'which no host can have'
  const first = Number.parseInt(address, 10)
  if (isIP(address) === 4) return first > 0 && first < 224 ? undefined : nobodys
  const [plain = '', zone] = address.split('%')
  const text = canonical(plain)
  if (/^fe[89ab][\da-f]:/.test(text))
    return 'which is link-local: on each interface it is another host, so neither URLs nor certificates can name it'
  if (zone !== undefined) return `which has a zone (%${zone}): give the address without it`
  if (/^ff[\da-f]{2}:/.test(text)) return 'which is multicast: it is a group of hosts, not one'
  const [, ...mapped] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(text) ?? []
  const bytes = mapped.map((part) => Number.parseInt(part, 16)).flatMap((part) => [part >> 8, part & 255])
  if (bytes.length > 0) return `which is an IPv4 address in the form of IPv6: give it as ${bytes.join('.')}`
  return text !== '::1' && /^::([\da-f]+(:[\da-f]+)?)?$/.test(text) ? nobodys : undefined // RFC 4291, 2.5.5.1
}

/** A network's own part, to which the last of an address is added: 127.10.20. of a /24, fd00:10:20:: of a /64. */
export function prefixOf(subnet: string): string | undefined {
  const [network = '', length] = subnet.split('/')
  if (length === '24' && isIP(network) === 4 && network.endsWith('.0')) return network.slice(0, -1)
  const [prefix = '', rest] = canonical(network).split('::')
  return length === '64' && isIPv6(network) && rest === '' && prefix.split(':').length <= 4 ? `${prefix}::` : undefined
}
