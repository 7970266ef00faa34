export { auth, type AuthNarrowing, type AuthOptions, type AuthSetting } from './auth.js'
export {
  bearer,
  type BearerAuth,
  type BearerClaims,
  type BearerOptions,
  type IssuerOptions,
} from './bearer.js'
export type { Method, MethodMiddleware } from './method.js'
