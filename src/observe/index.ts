export { audit, type AuditOptions } from './audit.js'
export type { AuditLogger } from './audit-logger.js'
export type { AuditStats } from './audit-sink.js'
export { requestId, type RequestIdOptions } from './request-id.js'
