import { BlockList, isIP } from 'node:net'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** CIDR ranges as one list that addresses are looked up in. */
export function addressList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network, bits] = cidr.split('/') as [string, string]
    list.addSubnet(network, Number(bits), familyOf(network))
  }
  return list
}

/** An address that is not known is in no list. */
export function isListed(list: BlockList, address: string | undefined): boolean {
  return address !== undefined && isIP(address) !== 0 && list.check(address, familyOf(address))
}

/** @throws ConfigError for what is no CIDR range, and for one that is the whole internet */
export function checkCidrs(option: string, cidrs: unknown): readonly string[] {
  if (!Array.isArray(cidrs)) throw new ConfigError(`${option} must list CIDR ranges, got ${show(cidrs)}`)
  return cidrs.map((cidr: unknown) => {
    const [network = '', bits = '', rest] = typeof cidr === 'string' ? cidr.split('/') : []
    const most = { 0: 0, 4: 32, 6: 128 }[isIP(network)]!
    if (
      rest === undefined &&
      /^[1-9][0-9]{0,2}$/.test(bits) &&
      Number(bits) <= most &&
      !network.includes('%')
    ) {
      return cidr as string
    }
    throw new ConfigError(
      `${option} must list CIDR ranges such as '192.0.2.0/24' or '2001:db8::/48', got ${show(cidr)}`,
    )
  })
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
