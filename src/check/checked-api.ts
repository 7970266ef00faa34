import type { Stage } from '../kernel/stage.js'
import type { Plans } from '../plans.js'

/** What the check needs to know about the API it checks for. */
export interface CheckedApi {
  readonly api: object
  readonly settings: Readonly<Record<string, unknown>>
  readonly plans: Plans
  readonly strict: boolean
  readonly stages: readonly Stage[]
  /** Requests came by a proxy that nobody told us of. */
  readonly proxySeen: boolean
  /** The application stands behind the front door. */
  readonly isProtected: boolean
}
