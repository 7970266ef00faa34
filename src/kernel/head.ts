import { ServerResponse, type OutgoingHttpHeader } from 'node:http'
import { lineOf } from './head-lines.js'

/** The header fields of a reply, by the names that a response has for its own. */
export interface Head {
  /** Whatever was set through this is still there. Default: nobody knows. */
  readonly intact?: boolean
  hasHeader(name: string): boolean
  getHeader(name: string): OutgoingHttpHeader | undefined
  setHeader(name: string, value: OutgoingHttpHeader): unknown
  removeHeader(name: string): void
}

/**
 * Header fields that are not on the response yet. Node takes a whole head at once for a fraction of what it costs to set
 * its fields one by one, as long as none was set before: so a refusal is written in one piece. A reply of the handler's
 * gets them before the handler runs.
 */
export class PendingHead implements Head {
  /** Names and values in turn, as `writeHead` takes them. */
  readonly fields: OutgoingHttpHeader[] = []
  intact = true

  constructor(private readonly res: ServerResponse) {}

  hasHeader(name: string): boolean {
    return this.at(name) !== -1 || this.res.hasHeader(name)
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    const at = this.at(name)
    return at === -1 ? this.res.getHeader(name) : this.fields[at + 1]
  }

  /** @throws TypeError for what Node would refuse to send: nobody could answer for it later */
  setHeader(name: string, given: OutgoingHttpHeader): void {
    // Whoever gave a list may change it.
    const value = Array.isArray(given) ? [...given] : given
    lineOf(name, value)
    const at = this.at(name)
    if (at !== -1) this.fields[at + 1] = value
    else if (this.res.hasHeader(name)) this.setOnResponse(name, value)
    else this.fields.push(name, value)
  }

  removeHeader(name: string): void {
    const at = this.at(name)
    if (at !== -1) {
      this.fields.splice(at, 2)
      this.intact = false
    }
    if (this.res.hasHeader(name)) this.res.removeHeader(name)
  }

  /**
   * Sets all fields on the response, except those that somebody has set there since.
   *
   * @returns the names of all fields that are there now, where that is known without asking
   */
  commit(): string[] | undefined {
    const { res, fields } = this
    // To look for a field is as dear as to set it, and where there is none and nobody has wrapped the method, there is nothing to find.
    const isBlank = res.setHeader === SET_HEADER && res.getHeaderNames().length === 0
    const names: string[] = []
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      if (!isBlank && res.hasHeader(name)) continue
      res.setHeader(name, fields[i + 1]!)
      names.push(name)
    }
    return isBlank ? names : undefined
  }

  /** There, anybody may take it off again. */
  private setOnResponse(name: string, value: OutgoingHttpHeader): void {
    this.intact = false
    this.res.setHeader(name, value)
  }

  private at(name: string): number {
    const { fields } = this
    for (let i = 0; i < fields.length; i += 2) {
      if (isSame(fields[i] as string, name)) return i
    }
    return -1
  }
}

// eslint-disable-next-line @typescript-eslint/unbound-method -- only compared
const SET_HEADER = ServerResponse.prototype.setHeader

/** The bit in which letters of ASCII differ from their capitals. */
const CASE = 0x20

/** Names of fields are case-insensitive, and ASCII (RFC 9110 section 5.1). Those that are as long as each other mostly end differently. */
function isSame(one: string, other: string): boolean {
  if (one === other) return true
  if (one.length !== other.length) return false
  for (let i = one.length - 1; i >= 0; i--) {
    const code = one.charCodeAt(i)
    const apart = code ^ other.charCodeAt(i)
    if (apart !== 0 && (apart !== CASE || !isLetter(code))) return false
  }
  return true
}

function isLetter(code: number): boolean {
  const lower = code | CASE
  return lower >= 0x61 && lower <= 0x7a
}
