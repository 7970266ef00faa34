import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { show } from './check.js'
import { ConfigError } from './config-error.js'

/** Addresses that share their first bits. */
export type Range = readonly [network: ipaddr.IPv4 | ipaddr.IPv6, bits: number]

/**
 * What `trustProxy` lists.
 *
 * @throws ConfigError for what is no CIDR range, and for one that no proxies of one operator are in
 */
export function parseRange(cidr: unknown): Range {
  const valid =
    typeof cidr === 'string' &&
    (ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr) ||
      (isIP(cidr.split('/')[0]!) === 6 && ipaddr.IPv6.isValidCIDR(cidr)))
  if (!valid) {
    const version = typeof cidr === 'string' ? isIP(cidr) : 0
    const hint = version === 0 ? '' : `; for one address, end it in /${version === 4 ? 32 : 128}`
    throw new ConfigError(`trustProxy must list CIDR ranges such as '10.0.0.0/8', got ${show(cidr)}${hint}`)
  }
  const [network, bits] = ipaddr.parseCIDR(cidr)
  const widest = widestAround(network, bits)
  if (bits < widest) {
    throw new ConfigError(
      `trustProxy: ${cidr} would let every client choose its own address, or far too many of them; list the ranges ` +
        `your proxies are in, none of them wider than /${widest}`,
      'permissive-trust-proxy',
    )
  }
  // Mapped addresses are compared as IPv4, so a range in the mapped notation would never match.
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress()
    ? [network.toIPv4Address(), bits - 96]
    : [network, bits]
}

/** Nobody holds more of the public internet: so wide were the blocks that registries gave away whole. */
const WIDEST_IPV4 = 8
const WIDEST_IPV6 = 16

/** For one's own use (RFC 4193, RFC 4291 section 2.5.6), so they may be listed whole. */
const PRIVATE: readonly Range[] = [
  [ipaddr.IPv6.parse('fc00::'), 7],
  [ipaddr.IPv6.parse('fe80::'), 10],
]

/** The whole of IPv4 once more: mapped (RFC 4291 section 2.5.5.2), and as translators write it (RFC 6052 section 2.1). */
const IPV4_INSIDE = [ipaddr.IPv6.parse('::ffff:0:0'), ipaddr.IPv6.parse('64:ff9b::')]

function widestAround(network: ipaddr.IPv4 | ipaddr.IPv6, bits: number): number {
  if (network instanceof ipaddr.IPv4) return WIDEST_IPV4
  if (IPV4_INSIDE.some((ipv4) => network.match(ipv4, Math.min(bits, 96)))) return 96 + WIDEST_IPV4
  const own = PRIVATE.find(([block, size]) => bits >= size && network.match(block as ipaddr.IPv6, size))
  return own?.[1] ?? WIDEST_IPV6
}
