export { allowance, type Allowance } from './allowance.js'
export type { Limit } from './limit.js'
export { quota } from './quota.js'
export { rateLimit } from './rate-limit.js'
