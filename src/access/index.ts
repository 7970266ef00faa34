export { csrf, type CsrfOptions } from './csrf.js'
export { csrfToken } from './csrf-token.js'
export { rbac, type RbacOptions, type RbacSettings } from './rbac.js'
