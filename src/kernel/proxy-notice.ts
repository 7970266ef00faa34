import type { IncomingMessage } from 'node:http'
import type { Log } from './ports.js'
import type { Client } from './services.js'

type ClientOf = (req: IncomingMessage) => Client

/** Reads who the client is, and knows whether somebody in front wanted to say so. */
export interface ProxyNotice {
  readonly clientOf: ClientOf
  readonly proxySeen: () => boolean
}

/**
 * For an API that was told nothing about proxies. Behind one, everybody shares its address, and so one limit; nothing else
 * would say so. Warns once, with nothing of the request in it: a client can send these fields too.
 */
export function noticeProxies(clientOf: ClientOf, log: Log): ProxyNotice {
  let seen = false
  return {
    clientOf(req) {
      if (!seen && isForwarded(req)) {
        seen = true
        log.warn(WARNING)
      }
      return clientOf(req)
    },
    proxySeen: () => seen,
  }
}

function isForwarded({ headers }: IncomingMessage): boolean {
  return headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
}

const WARNING =
  'A request came with X-Forwarded-For or Forwarded, and trustProxy is not set. If a proxy wrote it, all of its clients count ' +
  'as one: write trustProxy: 1, or the ranges of your proxies. If clients connect directly, write trustProxy: 0'
