import type { SecurityContext, ValidatedInput } from '../kernel/context.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import { inTime } from '../lib/in-time.js'
import { isThenable, when } from '../lib/when.js'
import type { BodyLimits } from './body-limits.js'
import { UNSAID, type Checker, type Flaw, type Judgement, type Part } from './checker.js'
import { bodyToJudge, type SentBody } from './judge-body.js'
import { readPart, type Sent } from './request-parts.js'
import type { Validation } from './validate-options.js'
import { showInput } from './validated-input.js'
import { type Params, type ParamsOf } from '../kernel/validated-params.js'

/** All that one `validate` stage was told. */
export interface Examination extends Validation {
  readonly paramsOf: ParamsOf
  /** For the case that no `body` stage read the body before. */
  readonly limits: BodyLimits
}

/** What has been found about one request so far. */
interface Progress {
  readonly results: ValidatedInput
  readonly flaws: ({ readonly in: Part } & Flaw)[]
  /** The path parameters as they were sent, if they were asked for. */
  sentParams: Params
}

const NONE: Params = Object.freeze({})

/**
 * Judges the parts of a request one after the other. The body is only read and looked at if everything else is right.
 * Nothing is handed on before all of it is.
 */
export function examine(
  ctx: SecurityContext,
  examination: Examination,
  from = 0,
  progress: Progress = { results: {}, flaws: [], sentParams: NONE },
): Problem | undefined | Promise<Problem | undefined> {
  const { checkers } = examination
  for (let i = from; i < checkers.length; i++) {
    const [part, checker] = checkers[i]!
    if (part === 'body' && progress.flaws.length > 0) break
    const judged = judgePart(ctx, examination, part, checker, progress)
    if (isThenable(judged)) {
      return judged.then<Problem | undefined>(
        (late) => take(progress, part, late) ?? examine(ctx, examination, i + 1, progress),
      )
    }
    const problem = take(progress, part, judged)
    if (problem !== undefined) return problem
  }
  return conclude(ctx, examination, progress)
}

type Judged = Judgement | Problem

function judgePart(
  ctx: SecurityContext,
  examination: Examination,
  part: Part,
  checker: Checker,
  progress: Progress,
): Judged | Promise<Judged> {
  const judge = (sent: Sent | SentBody | Problem): Judged | Promise<Judged> => {
    if (isProblem(sent)) return sent
    const judgement = checker.judge(sent.value, sent.values)
    if (!isThenable(judgement)) return judgement
    const { timeoutMs } = examination
    return inTime(
      ctx.services.clock,
      timeoutMs,
      judgement,
      () => new Error(`The schema of validate.${part} gave no answer within ${timeoutMs} ms`),
    )
  }
  if (part !== 'body') {
    const sent = readPart(ctx, part, checker, examination)
    if (!isProblem(sent) && sent.raw !== undefined) progress.sentParams = sent.raw
    return judge(sent)
  }
  return when<Sent | SentBody | Problem, Judged | Promise<Judged>>(
    bodyToJudge(ctx, examination.limits),
    judge,
  ) as Judged | Promise<Judged>
}

function take(progress: Progress, part: Part, judged: Judged): Problem | undefined {
  if (isProblem(judged)) return judged
  if (judged.valid) progress.results[part] = judged.value
  // Flaws are what refuses a request, so what is invalid has at least one.
  else {
    const flaws = judged.flaws.length === 0 ? [UNSAID] : judged.flaws
    progress.flaws.push(...flaws.map((flaw) => ({ in: part, ...flaw })))
  }
  return undefined
}

function conclude(
  ctx: SecurityContext,
  { maxErrors, paramsOf }: Examination,
  { results, flaws, sentParams }: Progress,
): Problem | undefined {
  const [first] = flaws
  if (first !== undefined) {
    return refuse('invalid-input', {
      members: { errors: flaws.slice(0, maxErrors) },
      rule: `${first.in}-schema`,
    })
  }
  showInput(ctx, results, sentParams, paramsOf)
  ctx.note('schema', 'every part fits its schema')
  return undefined
}
