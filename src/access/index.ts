export type { AccessFacts } from './access-facts.js'
export { csrf, type CsrfOptions } from './csrf.js'
export { csrfToken } from './csrf-token.js'
export {
  ownership,
  type LoadFacts,
  type Loaded,
  type Owner,
  type OwnershipDefaults,
  type OwnershipMiddleware,
  type OwnershipOptions,
  type OwnershipRule,
  type OwnershipSettings,
} from './ownership.js'
export {
  policy,
  type AccessPolicies,
  type AccessPolicy,
  type PolicyOptions,
  type PolicyVerdict,
} from './policy.js'
export { rbac, type RbacOptions, type RbacSettings } from './rbac.js'
