import { ConfigError } from '../kernel/config-error.js'
import type { Services } from '../kernel/services.js'

/** Key sets and metadata are a few kilobytes; what is larger is no answer. */
const MAX_BYTES = 262_144

/** The whole of what may be said about an endpoint that must be trusted. */
export interface EndpointRules {
  readonly allowInsecureLoopback: boolean
}

/** `undefined` if keys may be fetched from `url`, otherwise why not: anything but https could be answered by anyone on the way. */
export function whyNotTrusted(url: string, { allowInsecureLoopback }: EndpointRules): string | undefined {
  if (!URL.canParse(url)) return 'must be an absolute URL'
  const { protocol, hostname, username, password, hash } = new URL(url)
  if (username !== '' || password !== '') return 'must not contain credentials'
  if (hash !== '') return 'must not have a fragment'
  if (protocol === 'https:') return undefined
  if (protocol !== 'http:' || !isLoopback(hostname)) return 'must be https'
  return allowInsecureLoopback
    ? undefined
    : 'must be https; for a provider on this machine, set allowInsecureLoopback: true'
}

/** @throws ConfigError unless `value` is the URL of an endpoint that may be trusted */
export function endpointUrl(option: string, value: unknown, rules: EndpointRules): string {
  const why = typeof value === 'string' ? whyNotTrusted(value, rules) : 'must be an absolute URL'
  if (why !== undefined) throw new ConfigError(`${option} ${why}`, 'untrusted-url')
  return value as string
}

/** WHATWG URLs spell every IPv4 address in full, so there is one form to compare. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** The endpoint answered, but not with the document. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError'

  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message)
  }
}

/**
 * GETs a JSON object: no redirect is followed (it could lead away from https and from the host that is trusted), at most
 * 256 kB are read, and `signal` ends it, whether or not the `fetch` in use listens to it.
 */
export async function fetchJson(
  url: string,
  { fetch }: Pick<Services, 'fetch'>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([read(url, fetch, signal), aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function read(
  url: string,
  fetch: Services['fetch'],
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal,
  })
  if (response.status !== 200 || response.redirected) {
    await response.body?.cancel().catch(() => undefined)
    throw new EndpointError(`${nameOf(url)} answered ${response.status}`, response.status)
  }
  const document: unknown = JSON.parse(await textOf(response, url))
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new EndpointError(`${nameOf(url)} did not answer with a JSON object`)
  }
  return document as Record<string, unknown>
}

/** A query may carry a key of the operator's. */
function nameOf(url: string): string {
  return url.replace(/\?.*/s, '')
}

async function textOf({ body }: Response, url: string): Promise<string> {
  if (body === null) return ''
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return Buffer.concat(chunks).toString('utf8')
    size += value.byteLength
    if (size > MAX_BYTES) {
      await reader.cancel().catch(() => undefined)
      throw new EndpointError(`${nameOf(url)} answered with more than ${MAX_BYTES} bytes`)
    }
    chunks.push(value)
  }
}
