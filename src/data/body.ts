import { defineStage } from '../kernel/define.js'
import { when } from '../lib/when.js'
import { bodyLimits, type BodyOptions } from './body-limits.js'
import { bodyParsedElsewhere, PARSED_BEFORE } from './body-read.js'
import { readBody } from './read-body.js'
import { warmUpParser } from './warm-up.js'

export { tightenBody, unparsed, type BodyOptions } from './body-limits.js'
export { bodyParsedElsewhere, bodyRead, type BodyRead } from './body-read.js'

/**
 * Reads JSON bodies onto `req.body` within limits, and leaves other types unread under a ceiling of bytes. Refuses 400
 * `malformed-body`, 408 `body-timeout`, 413 `body-too-large` and 415 `unsupported-media-type`. Later body parsers, such
 * as `express.json()`, leave the request alone.
 *
 * @example
 * app.use(body({ maxBytes: 20_000 }))
 */
export const body = defineStage('body', (options: BodyOptions = {}) => {
  const limits = bodyLimits(options)
  void warmUpParser()
  let parsedBefore = false

  return {
    gives: ['body'] as const,
    reportable: 'never' as const,
    timeoutMs: false as const,
    enter(ctx) {
      return when(readBody(ctx, limits), (problem) => {
        if (ctx.get(bodyParsedElsewhere) !== undefined) parsedBefore = true
        return problem
      })
    },
    describe: () => limits,
    findings: () => (parsedBefore ? [PARSED_BEFORE] : []),
    ready: () => warmUpParser(),
  }
})
