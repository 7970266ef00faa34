import type { IncomingMessage } from 'node:http'
import { membersOf } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { contextOf } from '../kernel/context.js'
import { defineStage, type Standalone } from '../kernel/define.js'
import type { StageMiddleware } from '../kernel/stage.js'
import { once } from '../lib/once.js'
import { when } from '../lib/when.js'
import { bodyLimits } from './body-limits.js'
import { bodyParsedElsewhere, PARSED_BEFORE } from './body-read.js'
import { PARTS } from './checker.js'
import { examine } from './examine.js'
import { compileValidation, hasSchema, type InferInput, type ValidateOptions } from './validate-options.js'
import type { ParamsOf } from '../kernel/validated-params.js'
import { warmUpFields, warmUpParser } from './warm-up.js'

export type { JsonSchema } from './json-schema.js'
export type { StandardSchema } from './standard-schema.js'
export type { InferInput, Schema, ValidateOptions } from './validate-options.js'

/** `validate(...)` as middleware, which knows the types of what it lets through. */
export type ValidateMiddleware<O extends ValidateOptions> = StageMiddleware & {
  /**
   * What was validated, as the Standard Schemas type it.
   *
   * @throws Error if the request did not pass through here
   */
  input(req: IncomingMessage): InferInput<O>
}

/**
 * Lets only requests through that fit their schemas, and shows handlers nothing else: the results are on
 * `req.security.input`, `req.body`, `req.query` and `req.params`. Refuses 422 `invalid-input` with JSON Pointers, 400
 * `duplicate-parameter` and `malformed-parameter`, 415 `unsupported-media-type`; reads the body itself if no `body` stage
 * did.
 *
 * @example
 * const newOrder = validate({ body: z.object({ item: z.string(), count: z.int().positive() }) })
 * app.post('/orders', newOrder, (req, res) => res.json(place(newOrder.input(req).body)))
 */
export function validate<const O extends ValidateOptions>(
  options: O,
  standalone?: Standalone,
): ValidateMiddleware<O> {
  return Object.assign(ofHandlers(options, standalone), {
    input(req: IncomingMessage): InferInput<O> {
      const input = contextOf(req)?.input
      for (const part of PARTS) {
        if (options[part] !== undefined && (input === undefined || !(part in input)))
          throw new Error(`The request was not validated here: ${part} is missing`)
      }
      return input as InferInput<O>
    },
  })
}

/** The general setting of a row: only a stage if it says what requests must look like, and not only how strictly. */
export function validateDefault(options: ValidateOptions): StageMiddleware | undefined {
  if (hasSchema(options)) return ofHandlers(options)
  compileValidation(options)
  return undefined
}

/**
 * The schemas of one route or guard, taken as strictly as the general setting says unless they say so themselves.
 *
 * @param paramsOf for a rule, which is matched before Express has routed, how it reads its parameters
 */
export function validateWith(
  { unknown, maxErrors, timeoutMs }: ValidateOptions,
  local: ValidateOptions,
  paramsOf: ParamsOf,
): StageMiddleware {
  const defaults = { unknown, maxErrors, timeoutMs }
  const given = Object.fromEntries(Object.entries(defaults).filter(([, value]) => value !== undefined))
  return (paramsOf === 'handler' ? ofHandlers : stageFor(paramsOf))({
    ...given,
    ...Object.fromEntries(membersOf('validate', local)),
  })
}

/** Where no `body` stage has read the body before. */
const usualLimits = once(() => bodyLimits({}))

async function warmUpFor({ body, query, cookies }: ValidateOptions): Promise<void> {
  if (body !== undefined) await warmUpParser()
  if (query !== undefined || cookies !== undefined) await warmUpFields()
}

const ofHandlers = stageFor('handler')

function stageFor(paramsOf: ParamsOf) {
  return defineStage('validate', (options: ValidateOptions) => {
    const { checkers, maxErrors, timeoutMs, queryLists, unknown } = compileValidation(options)
    if (!hasSchema(options))
      throw new ConfigError(`validate needs a schema for at least one of ${PARTS.join(', ')}`)
    void warmUpFor(options)
    const limits = usualLimits()
    const examination = { checkers, maxErrors, timeoutMs, queryLists, unknown, paramsOf, limits }
    let parsedBefore = false

    return {
      timeoutMs: false as const,
      enter(ctx) {
        const known = ctx.get(bodyParsedElsewhere) !== undefined
        return when(examine(ctx, examination), (problem) => {
          if (!known && ctx.get(bodyParsedElsewhere) !== undefined) parsedBefore = true
          return problem
        })
      },
      describe: () => ({
        parts: Object.fromEntries(checkers.map(([part, { kind }]) => [part, kind])),
        unknown,
        maxErrors,
      }),
      findings: () => (parsedBefore ? [PARSED_BEFORE] : []),
      async ready() {
        for (const [, checker] of checkers) checker.warm?.()
        await warmUpFor(options)
      },
    }
  })
}
