import { slot } from '../kernel/context.js'
import type { Finding } from '../kernel/stage.js'
import type { JsonCost } from '../lib/measure-text.js'

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

/** Said once such a request has been seen. */
export const PARSED_BEFORE: Finding = {
  code: 'body-parsed-before',
  cause:
    'A body parser, such as express.json(), runs before secure-api: bodies are parsed before the caller is known, and without limits on bytes, duplicate names and encoding.',
  fix: 'Remove the parser, or mount it behind secure-api, where it leaves JSON bodies alone.',
  severity: 'medium',
}
