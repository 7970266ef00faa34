import type { ErrorObject } from 'ajv'
import { pointerFragment, pointerStep } from '../lib/json-pointer.js'
import type { Flaw } from './checker.js'

type Params = Readonly<Record<string, unknown>>

/** Keywords that speak about a member rather than about the value, and how they name it. */
const MEMBERS: Readonly<Record<string, { param: string; detail: string }>> = {
  required: { param: 'missingProperty', detail: 'is required' },
  dependentRequired: { param: 'missingProperty', detail: 'is required' },
  additionalProperties: { param: 'additionalProperty', detail: 'is not a known member' },
  unevaluatedProperties: { param: 'unevaluatedProperty', detail: 'is not a known member' },
  propertyNames: { param: 'propertyName', detail: 'has a name that is not allowed' },
}

const DETAILS: Readonly<Record<string, string>> = {
  'false schema': 'is not allowed',
  uniqueItems: 'must not have equal items',
}

/** What ajv found, without the value: its messages are made from the schema alone. */
export function flawOf({ keyword, instancePath, params, message, propertyName }: ErrorObject): Flaw {
  const member = MEMBERS[keyword]
  const name = member === undefined ? propertyName : (params as Params)[member.param]
  const step = typeof name === 'string' ? pointerStep(name) : ''
  return {
    pointer: pointerFragment(instancePath + step),
    detail: member?.detail ?? DETAILS[keyword] ?? message ?? 'is not valid',
  }
}
