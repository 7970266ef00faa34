import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { later } from '../lib/later.js'
import { integer } from './check.js'
import { ConfigError } from './config-error.js'
import { mayLackFields } from './dropped-fields.js'
import { parseRange } from './proxy-ranges.js'
import type { Client } from './services.js'

/** A number of proxies in front of this process, or the CIDR ranges their addresses lie in. */
export type TrustProxy = number | readonly string[]

/** IPv4 is the text itself, which has one spelling only; mapped addresses are IPv4. */
type Address = string | ipaddr.IPv6
/** Whether the machine at this address, `hop` steps away, is one of ours and may say who is behind it. */
type Trusted = (address: Address | undefined, hop: number) => boolean

/** More proxies than anybody chains; bounds the walk whatever the header has. */
const MAX_HOPS = 32

/**
 * One resolver for every stage. `X-Forwarded-For` is read from the right, and only as far as the declared proxies
 * reach: whatever stands to the left of them was written by the client. `Forwarded`, `X-Real-IP` and the like are
 * ignored: a client can send them past proxies that only write `X-Forwarded-For`.
 *
 * @throws ConfigError for `true`, for ranges that are no CIDR and for ranges that are much of the internet
 */
export function clientResolver(trust: TrustProxy): (req: IncomingMessage) => Client {
  const trusted = trustedBy(trust)
  // Compiles the expressions that read IPv6, which takes milliseconds: neither start nor, mostly, a request waits for it.
  later(() => parse('2001:db8::'))

  return (req) => {
    let address = parse(req.socket.remoteAddress)
    let unread = trusted(address, 0) && !mayLackFields(req) ? forwardedFor(req) : undefined
    for (let hop = 1; unread !== undefined && hop <= MAX_HOPS; hop++) {
      const comma = unread.lastIndexOf(',')
      const next = parse(unread.slice(comma + 1).trim())
      // Whoever wrote something else than an address cannot be believed about what stands before it.
      if (next === undefined) break
      address = next
      unread = comma === -1 || !trusted(address, hop) ? undefined : unread.slice(0, comma)
    }
    return address === undefined
      ? { address: undefined, key: 'unknown' }
      : { address: address.toString(), key: keyOf(address) }
  }
}

/**
 * Whether the client spoke TLS: with this process, or with a declared proxy. `X-Forwarded-Proto` is believed of the machine
 * that a trusted peer is, and every entry must be `https`: whoever adds to what the client sent says so too.
 *
 * @throws ConfigError as `clientResolver`
 */
export function tlsResolver(trust: TrustProxy): (req: IncomingMessage) => boolean {
  const trusted = trustedBy(trust)
  return (req) => {
    if (!trusted(parse(req.socket.remoteAddress), 0)) return 'encrypted' in req.socket
    const field = req.headers['x-forwarded-proto']
    if (field === undefined || mayLackFields(req)) return false
    const entries = (Array.isArray(field) ? field.join(',') : field).split(',', MAX_HOPS + 1)
    return entries.length <= MAX_HOPS && entries.every((entry) => HTTPS.test(entry))
  }
}

/** With spaces and tabs around it, which are all that a list may have there (RFC 9110 section 5.6.1). */
const HTTPS = /^[ \t]*https[ \t]*$/i

/** Whether the other end of the connection is a declared proxy, so that what it says of its client may be believed. */
export function proxyCheck(trust: TrustProxy): (req: IncomingMessage) => boolean {
  const trusted = trustedBy(trust)
  return ({ socket }) => trusted(parse(socket.remoteAddress), 0)
}

function trustedBy(trust: TrustProxy): Trusted {
  return Array.isArray(trust) ? inRanges(trust as readonly unknown[]) : withinHops(trust)
}

/** By distance alone: a proxy on a Unix socket has no address. */
function withinHops(hops: unknown): Trusted {
  if (hops === true) {
    throw new ConfigError(
      'trustProxy: true would let every client choose its own address; give the number of proxies, or their CIDR ranges',
      'permissive-trust-proxy',
    )
  }
  const count = integer('trustProxy', hops, { min: 0, max: MAX_HOPS })
  return (_address, hop) => hop < count
}

function inRanges(cidrs: readonly unknown[]): Trusted {
  const ranges = cidrs.map(parseRange)
  return (address) => {
    if (address === undefined) return false
    const parsed = typeof address === 'string' ? ipaddr.IPv4.parse(address) : address
    return ranges.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits))
  }
}

/** Several fields arrive joined by commas, in order (RFC 9110 section 5.3). */
function forwardedFor(req: IncomingMessage): string | undefined {
  const field = req.headers['x-forwarded-for']
  return Array.isArray(field) ? field.join(',') : field
}

/**
 * An address as sockets and proxies write it: also in brackets, with a port (Azure, IIS) or a zone, which are dropped.
 * Octal, hexadecimal and short IPv4 forms are malformed, inside IPv6 as well: readers disagree about them.
 */
function parse(text: string | undefined): Address | undefined {
  if (text === undefined || text.length > 64) return undefined
  if (isIP(text) === 4) return text
  // What a dual-stack socket calls an IPv4 peer, which is most of them.
  if (text.startsWith('::ffff:') && isIP(text.slice(7)) === 4) return text.slice(7)

  const bare = (BRACKETED.exec(text) ?? WITH_PORT.exec(text))?.[1] ?? text
  const zone = bare.indexOf('%')
  const address = zone === -1 ? bare : bare.slice(0, zone)

  const version = isIP(address)
  if (version === 4) return zone === -1 ? address : undefined
  if (version === 0 || (address.includes('.') && !DOTTED.test(address))) return undefined
  const parsed = ipaddr.IPv6.parse(address)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed
}

const DOTTED = /:ffff:[0-9.]+$/i
const BRACKETED = /^\[([^[\]]*)\](?::[0-9]{1,5})?$/
const WITH_PORT = /^([0-9.]+):[0-9]{1,5}$/

/** One household or server usually holds a /56 or more, so counting single IPv6 addresses would count nothing. */
function keyOf(address: Address): string {
  if (typeof address === 'string') return address
  const bytes = address.toByteArray().slice(0, 7)
  return `${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}/56`
}
