import { slot } from '../kernel/context.js'
import type { JsonCost } from './json-budget.js'

/** What became of a request's body. */
export interface BodyRead {
  /**
   * `json`: parsed onto `req.body`. `raw`: its bytes are on `req.body`. `unread`: no JSON, so it is the application's.
   * `none`: there is no body, or an empty one. `gone`: somebody else consumed it and left no value.
   */
  readonly kind: 'json' | 'raw' | 'unread' | 'none' | 'gone'
  /** Size in bytes: after decompression, or as declared. 0 if it is not known. */
  readonly bytes: number
  /** What the parsed value spends of the limits. */
  readonly cost: JsonCost
}

/** Set once a body has been dealt with; whoever comes later leaves the stream alone. */
export const bodyRead = slot<BodyRead>('body.read')

/** Another parser, such as `express.json()`, had read the body before: it was parsed without the limits of `body`. */
export const bodyParsedElsewhere = slot<true>('body.parsedElsewhere')
