import { pointerFragment, pointerStep } from '../lib/json-pointer.js'
import { UNSAID, type Flaw } from './checker.js'
import type { StandardIssue, StandardSchema } from './standard-schema.js'

/** What zod and valibot add to their issues. */
type Said = 'code' | 'keys' | 'kind' | 'type' | 'expected'
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
 * Messages of valibot and ArkType quote the value, which may be a password; only those of zod are made from the schema
 * alone. Of valibot's issues the parts that come from the schema are used.
 */
function detailsOf(schema: StandardSchema): (issue: Issue) => string {
  const { vendor } = schema['~standard']
  const said = vendor === 'valibot' ? ofValibot : vendor === 'zod' ? ofZod : nothing
  return (issue) => {
    const detail = said(issue)
    return typeof detail === 'string' ? detail.slice(0, MAX_DETAIL) : UNSAID.detail
  }
}

const nothing = (): undefined => undefined

const ofZod = ({ message }: Issue): unknown => message

function ofValibot({ kind, type, expected }: Issue): unknown {
  if (expected === 'never') return 'is not a known member'
  if (typeof expected === 'string') return `must be ${expected}`
  return kind === 'validation' && typeof type === 'string' ? `does not pass "${type}"` : undefined
}
