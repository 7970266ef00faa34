import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import { ConfigError } from './config-error.js'
import { integer, show } from './check.js'
import type { Client } from './services.js'

/** A number of proxies in front of this process, or the CIDR ranges their addresses lie in. */
export type TrustProxy = number | readonly string[]

type Address = ReturnType<typeof ipaddr.process>

/**
 * One resolver for every stage. `X-Forwarded-For` is read from the right, and only as far as the declared proxies
 * reach: whatever stands to the left of them was written by the client. `Forwarded`, `X-Real-IP` and the like are
 * ignored.
 *
 * @throws ConfigError for `true` and for ranges that are no CIDR
 */
export function clientResolver(trust: TrustProxy): (req: IncomingMessage) => Client {
  const trusted = typeof trust === 'object' ? inRanges(trust) : withinHops(trust)

  return (req) => {
    let address = parse(req.socket.remoteAddress)
    if (address !== undefined && trusted(address, 0)) {
      const forwarded = forwardedFor(req)
      for (let hop = 0; hop < forwarded.length; hop++) {
        const next = parse(forwarded[forwarded.length - 1 - hop])
        if (next === undefined) break
        address = next
        if (!trusted(address, hop + 1)) break
      }
    }
    return address === undefined
      ? { address: undefined, key: 'unknown' }
      : { address: address.toString(), key: keyOf(address) }
  }
}

function withinHops(hops: unknown): (address: Address, hop: number) => boolean {
  if (hops === true) {
    throw new ConfigError(
      'trustProxy: true would let every client choose its own address; give the number of proxies, or their CIDR ranges',
      'permissive-trust-proxy',
    )
  }
  const count = integer('trustProxy', hops, { min: 0, max: 32 })
  return (_address, hop) => hop < count
}

function inRanges(cidrs: readonly string[]): (address: Address) => boolean {
  const ranges = cidrs.map((cidr) => {
    if (typeof cidr === 'string' && ipaddr.isValidCIDR(cidr)) return ipaddr.parseCIDR(cidr)
    throw new ConfigError(`trustProxy must list CIDR ranges such as '10.0.0.0/8', got ${show(cidr)}`)
  })
  return (address) =>
    ranges.some(([network, bits]) => address.kind() === network.kind() && address.match(network, bits))
}

function forwardedFor(req: IncomingMessage): string[] {
  const header = req.headers['x-forwarded-for']
  return header === undefined ? [] : String(header).split(',', 64)
}

/** A malformed hop ends the walk: nothing beyond it can be believed. Octal, hex and short IPv4 forms are malformed. */
function parse(text: string | undefined): Address | undefined {
  const trimmed = text?.trim()
  if (trimmed === undefined || trimmed.length > 45) return undefined
  if (
    !ipaddr.IPv4.isValidFourPartDecimal(trimmed) &&
    !(trimmed.includes(':') && ipaddr.IPv6.isValid(trimmed))
  )
    return undefined
  return ipaddr.process(trimmed)
}

/** One household or server usually holds a /56 or more, so counting single IPv6 addresses would count nothing. */
function keyOf(address: Address): string {
  if (address.kind() === 'ipv4') return address.toString()
  const bytes = address.toByteArray().slice(0, 7)
  return `${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}/56`
}
