export {
  secureApi,
  type ExplainedStage,
  type GuardSettings,
  type RouteSettings,
  type SecureApi,
  type SecureApiOptions,
} from './secure-api.js'
export { order, type GuardProtections, type Protections, type RouteProtections } from './order.js'
export type { ExtraStage } from './general-plan.js'
export { ambientProof, type AmbientProof } from './kernel/ambient.js'
export { getSecurity } from './kernel/async-context.js'
export { asyncHandler } from './kernel/async-handler.js'
export type { Authentication, Factor } from './kernel/authentication.js'
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
export { memory, type MemoryOptions } from './kernel/memory.js'
export type { Catalogue, Role, RoleMatrix, Roles, Rule } from './kernel/rule.js'
export type { ClaimPath, ClaimReader, ClaimSource, ClaimSources } from './kernel/grants.js'

// What each phase shows stands in its own index.
export * from './identity/index.js'
export * from './access/index.js'
export * from './traffic/index.js'
export * from './data/index.js'
export * from './transport/index.js'
export * from './observe/index.js'
