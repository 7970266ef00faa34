import { originalUrl, type SecurityContext } from '../kernel/context.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import { BareRecord } from '../lib/bare.js'
import { parseCookies } from '../lib/cookie-pairs.js'
import { newFields, parseQuery, type FieldFault, type Fields } from '../lib/query-string.js'
import type { Checker, Part, Shape } from './checker.js'
import { coerce, isList, mayRepeat } from './coerce.js'
import { judgedParam, rawParams, type Params, type ParamsOf } from '../kernel/validated-params.js'

/** A part of a request that arrives as text. */
export type TextPart = Exclude<Part, 'body'>

type Value = Record<string, unknown>

/** A part, ready to be judged. */
export interface Sent {
  readonly value: Value
  /** How many values it consists of. */
  readonly values: number
  /** Of path parameters: as they were sent. */
  readonly raw?: Params | undefined
}

export interface PartOptions {
  readonly queryLists: ReadonlySet<string>
  readonly paramsOf: ParamsOf
}

/**
 * Takes a part out of the request as its schema wants it: lists as arrays, and for a JSON Schema text as the types it
 * names. What an earlier `validate` took away from query or params stays away.
 */
export function readPart(
  ctx: SecurityContext,
  part: TextPart,
  checker: Checker,
  options: PartOptions,
): Sent | Problem {
  const raw = part === 'params' ? rawParams(ctx, options.paramsOf) : undefined
  const fields =
    raw === undefined ? readers[part as OtherPart](ctx, checker.shape, options) : paramFields(raw)
  if (typeof fields === 'string') {
    return refuse('malformed-parameter', { detail: FAULTS[fields], rule: `${part}-${fields}` })
  }
  const read = readFields(ctx, part, fields, checker, options.queryLists)
  return isProblem(read) ? read : { value: read.value, values: read.values, raw }
}

/** @param ctx `undefined`: nobody has judged any of them before */
export function readFields(
  ctx: SecurityContext | undefined,
  part: TextPart,
  fields: Fields,
  { kind, shape }: Pick<Checker, 'kind' | 'shape'>,
  queryLists: ReadonlySet<string>,
): Sent | Problem {
  const value: Value = new BareRecord()
  let values = 1
  for (const name in fields) {
    const texts = fields[name]!
    const before = ctx === undefined ? undefined : earlier(ctx, part, name, texts)
    if (before === TAKEN_AWAY) continue
    const types = shape.types.get(name)
    const list = isList(types) || (part === 'query' && queryLists.has(name))
    if (texts.length > 1 && part !== 'params' && !list && !mayRepeat(types)) {
      return refuse('duplicate-parameter', { detail: DUPLICATES[part], rule: `duplicate-${part}` })
    }
    const plain = texts.length === 1 && !list ? texts[0]! : texts
    if (kind !== 'json-schema') value[name] = plain
    // A schema that does not name it does not undo what an earlier one made of it.
    else value[name] = before !== undefined && types === undefined ? before.value : coerce(plain, types)
    values += texts.length
  }
  return { value, values }
}

const TAKEN_AWAY = { value: undefined }

/** What an earlier `validate` made of a value; `undefined` if none has judged it. */
function earlier(
  ctx: SecurityContext,
  part: TextPart,
  name: string,
  texts: readonly string[],
): { readonly value: unknown } | undefined {
  if (part === 'params') {
    const judged = judgedParam(ctx, name, texts)
    return judged !== undefined && judged.value === undefined ? TAKEN_AWAY : judged
  }
  const before = part === 'query' ? (ctx.input.query as Value | undefined) : undefined
  if (before === undefined) return undefined
  return Object.hasOwn(before, name) ? { value: before[name] } : TAKEN_AWAY
}

const FAULTS: Readonly<Record<FieldFault, string>> = {
  'percent-encoding': 'A name or value is not valid percent-encoded UTF-8.',
  'proto-key': 'A name is not allowed.',
  'too-many': 'There are too many parameters.',
}

const DUPLICATES = {
  query: 'A query parameter was sent more than once.',
  headers: 'A header field was sent more than once.',
  cookies: 'A cookie was sent more than once.',
}

function paramFields(raw: Params): Fields | FieldFault {
  const fields = newFields()
  for (const name of Object.keys(raw)) {
    if (name === '__proto__') return 'proto-key'
    const value = raw[name]
    // An optional parameter that is absent is `undefined` in Express 4.
    if (value !== undefined) fields[name] = Array.isArray(value) ? (value as string[]) : [value as string]
  }
  return fields
}

type OtherPart = Exclude<TextPart, 'params'>
type Reader = (ctx: SecurityContext, shape: Shape, options: PartOptions) => Fields | FieldFault

const readers: Readonly<Record<OtherPart, Reader>> = {
  query: (ctx) => parseQuery(originalUrl(ctx.req)),
  headers({ req }, { names }) {
    const fields = newFields()
    for (const [name, value] of Object.entries(names === undefined ? req.headers : {})) {
      if (value !== undefined) fields[name] = [String(value)]
    }
    for (const name of names ?? []) {
      const lines = req.headersDistinct[name]
      if (lines !== undefined) fields[name] = lines
    }
    return fields
  },
  cookies: ({ req }, { names }) => parseCookies(req.headers.cookie ?? '', names),
}
