// Where the audit trail is kept. In production its key comes from a key store, and its head is kept on another machine.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyAudit } from 'secure-api'

/** @param {string} folder */
export function auditTrail(folder) {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'audit.jsonl')
  const headFile = join(folder, 'head.json')
  const key = signingKey(join(folder, 'key.pem'))

  return {
    path,
    publicKey: createPublicKey(key),
    head: () => JSON.parse(readFileSync(headFile, 'utf8')),
    /** For `secureApi({ audit })`. */
    settings: {
      file: { path, key, onCheckpoint: (head) => writeFileSync(headFile, JSON.stringify(head)) },
    },
    /** Whether `file`, the trail or what somebody made of it, is what was written. */
    verify(file = path) {
      return verifyAudit(file, { publicKey: this.publicKey, head: this.head() })
    },
  }
}

function signingKey(file) {
  if (!existsSync(file)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
  }
  return readFileSync(file, 'utf8')
}
