import { challengesOf } from '../kernel/challenges.js'
import type { SecurityContext } from '../kernel/context.js'
import { refuse, type Problem } from '../kernel/problem.js'

/** 401 for whom nobody introduced. @param rule what would have been asked of a known caller */
export function unauthenticated(ctx: SecurityContext, rule: string): Problem {
  return refuse('unauthenticated', {
    headers: { 'WWW-Authenticate': challengesOf(ctx) },
    rule,
    reason: 'no earlier stage established who is calling',
  })
}
