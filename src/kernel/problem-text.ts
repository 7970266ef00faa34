import type { Problem } from './problem.js'

/** What says the same of every request that meets it. */
interface Beginning {
  readonly base: string
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly text: string
}

/** What JSON writes as it is, such as a UUID. */
const PLAIN = /^[\w.-]*$/

/** Applications may have codes of their own, and even make some up as they go. */
const MAX_KEPT = 200

/** The last one that was written, by the code of its problem. */
const beginnings = new Map<string, Beginning>()

/**
 * The body of a refusal: the members of RFC 9457 section 3.1, ours, and those of the problem, in this order; the last may
 * replace the others.
 *
 * @param base prefix of the problem's `type`
 * @param id correlation id of the request, or nothing
 */
export function problemText(problem: Problem, base: string, id: string): string {
  const { code, title, status, detail, members } = problem
  const request_id = id === '' ? undefined : id
  const own = members === undefined ? undefined : { ...members }
  if (own !== undefined && replacesAny(own))
    return JSON.stringify({ type: base + code, title, status, code, detail, request_id, ...own })

  const text = beginningOf(problem, base) + idMember(request_id)
  const more = own === undefined ? '{}' : JSON.stringify(own)
  return more === '{}' ? `${text}}` : `${text},${more.slice(1)}`
}

/** The members that every problem has, and the one that JSON calls. */
const OURS: ReadonlySet<string> = new Set([
  'type',
  'title',
  'status',
  'code',
  'detail',
  'request_id',
  'toJSON',
])

function replacesAny(members: object): boolean {
  for (const name in members) if (OURS.has(name)) return true
  return false
}

function idMember(id: string | undefined): string {
  if (id === undefined) return ''
  return `,"request_id":${PLAIN.test(id) ? `"${id}"` : JSON.stringify(id)}`
}

function beginningOf({ code, title, status, detail }: Problem, base: string): string {
  const last = beginnings.get(code)
  if (last?.title === title && last.detail === detail && last.status === status && last.base === base)
    return last.text
  const type = base + code
  const text = JSON.stringify({ type, title, status, code, detail }).slice(0, -1)
  if (last !== undefined || beginnings.size < MAX_KEPT)
    beginnings.set(code, { base, status, title, detail, text })
  return text
}
