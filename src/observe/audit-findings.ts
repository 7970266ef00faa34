import type { Finding } from '../kernel/stage.js'
import type { AuditSettings } from './audit-options.js'

/** Settings that make the record weaker than it could be. `permissions` are those of the file as it is. */
export function auditFindings(settings: AuditSettings, permissions: number | undefined): readonly Finding[] {
  const { logger, file, onFailure } = settings
  return [
    ...(file === undefined && logger === undefined ? [TO_STDOUT] : []),
    ...(onFailure === 'count' ? [ONLY_COUNTS] : []),
    ...(file !== undefined && file.signer === undefined ? [UNSIGNED] : []),
    ...(file !== undefined && file.onCheckpoint === undefined ? [HEAD_NOT_KEPT] : []),
    ...(permissions !== undefined && (permissions & 0o027) !== 0 ? [OPEN_FILE] : []),
  ]
}

const TO_STDOUT: Finding = {
  code: 'audit-to-stdout',
  cause:
    'audit has neither a file nor a logger: events go to stdout, where whoever handles them may change them.',
  fix: 'Set audit.file for a trail that can be verified, or audit.logger, or be sure that stdout is collected safely.',
  severity: 'low',
}

const ONLY_COUNTS: Finding = {
  code: 'audit-failure-counted',
  cause: "audit.onFailure is 'count': while no event can be written, requests are served without a record.",
  fix: "Set audit.onFailure: 'refuse' if a request must not be served unrecorded, or watch audit.stats().",
  severity: 'low',
}

const UNSIGNED: Finding = {
  code: 'audit-unsigned',
  cause: 'audit.file has no key: whoever can write the file can rewrite it as a whole, and nothing shows it.',
  fix: 'Set audit.file.key to an Ed25519 private key, and keep the public key for verifyAudit elsewhere.',
  severity: 'medium',
}

const HEAD_NOT_KEPT: Finding = {
  code: 'audit-head-not-kept',
  cause:
    'audit.file has no onCheckpoint: lines cut off at the end of the file, or an old copy of it, are not found.',
  fix: 'Set audit.file.onCheckpoint and send the head to another system.',
  severity: 'low',
}

const OPEN_FILE: Finding = {
  code: 'audit-file-open',
  cause: 'The audit file may be written by its group, or used by everybody on the machine.',
  fix: 'Take the permissions away: chmod 600 (or 640) on the file.',
  severity: 'medium',
}
