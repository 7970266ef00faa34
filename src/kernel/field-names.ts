/**
 * Header fields that frame a message, steer the connection, or carry what everybody knows under that name: nothing of ours may
 * be sent or read under them.
 */
const TAKEN: ReadonlySet<string> = new Set(
  (
    'accept accept-charset accept-encoding accept-language accept-ranges age allow alt-svc authorization cache-control ' +
    'connection content-disposition content-encoding content-language content-length content-location content-range ' +
    'content-security-policy content-type cookie date dpop etag expect expires forwarded from host if-match ' +
    'if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link location max-forwards origin ' +
    'pragma proxy-authenticate proxy-authorization proxy-connection range referer retry-after server set-cookie ' +
    'strict-transport-security te traceparent tracestate trailer transfer-encoding upgrade user-agent vary via ' +
    'www-authenticate x-forwarded-for x-forwarded-host x-forwarded-proto'
  ).split(' '),
)

/** Whether a header field has a meaning of its own (RFC 9110 section 5.1), whichever case it is written in. */
export function isTakenField(name: string): boolean {
  const lower = name.toLowerCase()
  return TAKEN.has(lower) || lower.startsWith('access-control-') || lower.startsWith('sec-')
}
