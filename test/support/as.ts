import type { Principal } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'

/** A caller with these claims, whoever vouches for them. */
export function caller(claims: Principal['claims'] = {}, method = 'bearer'): Principal {
  return {
    ...{ id: 'https://id.example#ann', subject: 'ann', issuer: 'https://id.example', method, claims },
    ...(method === 'bearer' && { accessToken: true }),
  }
}

/** A stage that lets a caller in without asking for proof. */
export const as = defineStage('as', (principal: Principal | undefined) => ({
  gives: ['principal'] as const,
  enter(ctx) {
    ctx.principal = principal
  },
}))
