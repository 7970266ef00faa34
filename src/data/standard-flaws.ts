import { pointerFragment, pointerStep } from '../lib/json-pointer.js'
import { UNSAID, type Flaw } from './checker.js'
import type { StandardIssue, StandardSchema } from './standard-schema.js'

/** What zod and valibot add to their issues. */
type Said = 'code' | 'keys' | 'options' | 'kind' | 'type' | 'expected'
type Issue = Partial<Readonly<Record<keyof StandardIssue | Said, unknown>>>

/** Pointers and texts of what a Standard Schema found, whatever the shape of its answer; at least one. */
export function flawsOf(schema: StandardSchema, issues: unknown, max: number): Flaw[] {
  const detailOf = detailsOf(schema)
  const flaws: Flaw[] = []
  for (const one of Array.isArray(issues) ? (issues as unknown[]) : []) {
    if (flaws.length >= max) break
    const issue: Issue = typeof one === 'object' && one !== null ? one : {}
    const pointer = stepsOf(issue.path)
    const names =
      issue.code === 'unrecognized_keys' && Array.isArray(issue.keys) ? (issue.keys as unknown[]) : []
    for (const name of names.slice(0, max - flaws.length)) {
      flaws.push({
        pointer: pointerFragment(pointer + pointerStep(String(name))),
        detail: 'is not a known member',
      })
    }
    if (names.length === 0) flaws.push({ pointer: pointerFragment(pointer), detail: detailOf(issue) })
  }
  return flaws.length === 0 ? [UNSAID] : flaws
}

function stepsOf(path: unknown): string {
  if (!Array.isArray(path)) return ''
  return (path as unknown[])
    .map((step) =>
      pointerStep(String(typeof step === 'object' && step !== null && 'key' in step ? step.key : step)),
    )
    .join('')
}

const MAX_DETAIL = 200

/**
 * Messages of most libraries quote the value, which may be a password: those of valibot and ArkType, and one of zod 3. Those of
 * zod 4 are made from the schema alone; of the others, what comes from the schema is used.
 */
function detailsOf(schema: StandardSchema): (issue: Issue) => string {
  const { vendor } = schema['~standard']
  const said =
    vendor === 'valibot' ? ofValibot : vendor !== 'zod' ? nothing : '_zod' in schema ? ofZod : ofZod3
  return (issue) => {
    const detail = said(issue)
    return typeof detail === 'string' ? detail.slice(0, MAX_DETAIL) : UNSAID.detail
  }
}

const nothing = (): undefined => undefined

const ofZod = ({ message }: Issue): unknown => message

function ofZod3({ code, message, options }: Issue): unknown {
  if (code !== 'invalid_enum_value') return message
  return Array.isArray(options)
    ? `Expected ${options.map((one) => JSON.stringify(one)).join(' | ')}`
    : undefined
}

function ofValibot({ kind, type, expected }: Issue): unknown {
  if (expected === 'never') return 'is not a known member'
  // Of a member that is not there valibot says its name, in quotes.
  const isMissing = typeof type === 'string' && type.endsWith('object') && typeof expected === 'string'
  if (isMissing && expected.startsWith('"')) return 'is required'
  if (typeof expected === 'string') return `must be ${expected}`
  return kind === 'validation' && typeof type === 'string' ? `does not pass "${type}"` : undefined
}
