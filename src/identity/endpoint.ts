import { ConfigError } from '../kernel/config-error.js'
import type { Services } from '../kernel/services.js'

/** Key sets, metadata and what is known of a token are a few kilobytes; what is larger is no answer. */
const MAX_BYTES = 262_144

/** The whole of what may be said about an endpoint that must be trusted. */
export interface EndpointRules {
  readonly allowInsecureLoopback: boolean
}

/** `undefined` if what `url` says may be believed, otherwise why not: anything but https could be answered by anyone on the way. */
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

/** What to ask, and which statuses answer it. All others are an `EndpointError`, and their body is not read. */
export interface EndpointQuestion {
  readonly method?: 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly statuses: readonly number[]
}

export interface EndpointAnswer {
  readonly status: number
  readonly type: string | null
  readonly bytes: Buffer
}

const DOCUMENT: EndpointQuestion = { headers: { accept: 'application/json' }, statuses: [200] }

/** GETs a JSON object, as `askEndpoint` does. */
export async function fetchJson(
  url: string,
  services: Pick<Services, 'fetch'>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const { bytes } = await askEndpoint(url, DOCUMENT, services, signal)
  const document: unknown = JSON.parse(bytes.toString('utf8'))
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new EndpointError(`${nameOf(url)} did not answer with a JSON object`)
  }
  return document as Record<string, unknown>
}

/**
 * Asks once: no redirect is followed (it could lead away from https and from the host that is trusted), at most 256 kB
 * are read, and `signal` ends it, whether or not the `fetch` in use listens to it.
 */
export async function askEndpoint(
  url: string,
  question: EndpointQuestion,
  { fetch }: Pick<Services, 'fetch'>,
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([read(url, question, fetch, signal), aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function read(
  url: string,
  { statuses, ...request }: EndpointQuestion,
  fetch: Services['fetch'],
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  const response = await fetch(url, { ...request, redirect: 'error', signal })
  const { status } = response
  if (!statuses.includes(status) || response.redirected) {
    await response.body?.cancel().catch(() => undefined)
    throw new EndpointError(`${nameOf(url)} answered ${status}`, status)
  }
  return { status, type: response.headers.get('content-type'), bytes: await bytesOf(response, url) }
}

/** A query may carry a key of the operator's. */
function nameOf(url: string): string {
  return url.replace(/\?.*/s, '')
}

async function bytesOf({ body }: Response, url: string): Promise<Buffer> {
  if (body === null) return Buffer.alloc(0)
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return Buffer.concat(chunks)
    size += value.byteLength
    if (size > MAX_BYTES) {
      await reader.cancel().catch(() => undefined)
      throw new EndpointError(`${nameOf(url)} answered with more than ${MAX_BYTES} bytes`)
    }
    chunks.push(value)
  }
}
