export {
  secureApi,
  type ExplainedStage,
  type RouteSettings,
  type SecureApi,
  type SecureApiOptions,
} from './secure-api.js'
export { order, type GuardProtections, type Protections, type RouteProtections } from './order.js'
export type { ExtraStage } from './plan.js'
export { asyncHandler } from './kernel/async-handler.js'
export {
  contextOf,
  slot,
  type Principal,
  type SecurityContext,
  type Slot,
  type TraceEntry,
  type ValidatedInput,
} from './kernel/context.js'
export { defineStage, type Standalone } from './kernel/define.js'
export type { ErrorMiddleware } from './kernel/errors.js'
export type { Enforcement, Mode } from './kernel/mode.js'
export { pipeline, type PipelineMiddleware, type PipelineOptions } from './kernel/pipeline.js'
export type * from './kernel/ports.js'
export {
  isProblem,
  refuse,
  type OwnProblem,
  type Problem,
  type ProblemCode,
  type ProblemDetails,
} from './kernel/problem.js'
export { forward, RefusedError, respond, type Respond } from './kernel/respond.js'
export type { Client, ServiceOptions, Services } from './kernel/services.js'
export {
  answered,
  type Fact,
  type Finding,
  type Middleware,
  type Next,
  type Stage,
  type StageMiddleware,
  type Verdict,
} from './kernel/stage.js'
export { ConfigError } from './kernel/config-error.js'
export { audit, type AuditOptions } from './observe/audit.js'
export type { AuditLogger } from './observe/audit-logger.js'
export type { AuditStats } from './observe/audit-sink.js'
export { requestId, type RequestIdOptions } from './observe/request-id.js'
export { cors, type CorsOptions } from './transport/cors.js'
export { firewall, type AllowedAmbiguities, type FirewallOptions } from './transport/firewall.js'
export { headers, type HeadersOptions } from './transport/headers.js'
export { memory, type MemoryOptions } from './kernel/memory.js'
export { allowance, type Allowance } from './traffic/allowance.js'
export type { Limit } from './traffic/limit.js'
export { quota } from './traffic/quota.js'
export { rateLimit } from './traffic/rate-limit.js'
export { rbac, type RbacOptions, type RbacSettings } from './access/rbac.js'
export type { Catalogue, Role, RoleMatrix, Roles, Rule } from './kernel/rule.js'
export type { ClaimPath, ClaimReader, ClaimSource, ClaimSources } from './kernel/grants.js'
export { auth, type AuthNarrowing, type AuthOptions, type AuthSetting } from './identity/auth.js'
export { bearer, type BearerAuth, type BearerOptions, type IssuerOptions } from './identity/bearer.js'
export type { Method, MethodMiddleware } from './identity/method.js'
export { body, bodyRead, type BodyOptions, type BodyRead } from './data/body.js'
