import { ambiguityOf } from '../lib/ambiguous-path.js'

const MAX_LENGTH = 2_048
/** Stands for whatever host the page is on: what leaves it leads elsewhere. */
const HERE = 'https://here.invalid'

/**
 * Whether a text is a path of this host, and nothing that any reader could take for another place: an absolute URL, `//host`,
 * `/\host`, `javascript:`, or something that becomes one of these once it is decoded or tidied up (ASVS 3.7.2). It has to come
 * out of a parser of URLs as it went in.
 */
export function isLocalPath(text: unknown): text is string {
  if (typeof text !== 'string' || text.length > MAX_LENGTH || !/^\/[!-~]*$/.test(text)) return false
  if (text.includes('\\')) return false
  const [beforeHash = ''] = text.split('#', 1)
  const [path = ''] = beforeHash.split('?', 1)
  if (ambiguityOf(path) !== undefined) return false
  const { origin, pathname, search, hash } = new URL(text, HERE)
  return origin === HERE && pathname + search + hash === text
}
