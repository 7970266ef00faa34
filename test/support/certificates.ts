import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate and its private key, as PEM. */
export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface IssueOptions {
  /** Lines of an extension file of openssl. */
  readonly extensions?: readonly string[]
  /** Default: an elliptic key. */
  readonly rsaBits?: number
  /** Default: P-256. */
  readonly curve?: string
  /** Whose certificate it is, as PEM. Default: that of a new key. */
  readonly publicKey?: string
}

export interface Authority extends Issued {
  issue(subject: string, options?: IssueOptions): Issued
}

/** A certificate authority, made by openssl, that is good for ten years. */
export function authority(subject: string, ca: Issued = selfSigned(subject)): Authority {
  return {
    ...ca,
    issue: (name, { extensions = [], rsaBits, curve, publicKey } = {}) =>
      inFolder((folder, openssl) => {
        for (const [file, text] of Object.entries({ 'ca.pem': ca.cert, 'ca.key': ca.key })) {
          writeFileSync(join(folder, file), text)
        }
        writeFileSync(join(folder, 'extensions'), ['basicConstraints=CA:FALSE', ...extensions].join('\n'))
        openssl('req', ...newKey(rsaBits, curve), '-keyout', 'key', '-out', 'request', '-subj', name)
        const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions']
        if (publicKey !== undefined) writeFileSync(join(folder, 'public'), publicKey)
        const whose = publicKey === undefined ? [] : ['-force_pubkey', 'public']
        openssl('x509', '-req', '-in', 'request', ...whose, ...signing, '-days', '3650', '-out', 'cert')
        return issued(folder)
      }),
  }
}

/** Another certificate of the same authority, with the same key, that is good for as long as told. */
export function renewed(ca: Issued, days: number): Issued {
  return inFolder((folder, openssl) => {
    writeFileSync(join(folder, 'key'), ca.key)
    writeFileSync(join(folder, 'old'), ca.cert)
    const kept = ['-in', 'old', '-signkey', 'key', '-days', String(days), '-out', 'cert']
    openssl('x509', ...kept)
    return issued(folder)
  })
}

/** A certificate that nobody vouches for. */
export function selfSigned(subject: string, extensions: readonly string[] = []): Issued {
  return inFolder((folder, openssl) => {
    const more = extensions.flatMap((one) => ['-addext', one])
    const out = ['-keyout', 'key', '-out', 'cert', '-subj', subject]
    openssl('req', '-x509', ...newKey(), '-days', '3650', ...out, ...more)
    return issued(folder)
  })
}

function newKey(rsaBits?: number, curve = 'P-256'): string[] {
  const kind = rsaBits === undefined ? ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`] : [`rsa:${rsaBits}`]
  return ['-newkey', ...kind, '-nodes']
}

function issued(folder: string): Issued {
  return { cert: readFileSync(join(folder, 'cert'), 'utf8'), key: readFileSync(join(folder, 'key'), 'utf8') }
}

function inFolder<T>(use: (folder: string, openssl: (...args: string[]) => void) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'secure-api-certificates-'))
  try {
    return use(folder, (...args) => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
