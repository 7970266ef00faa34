// The requests of the tour: what is sent, and what is promised. `npm start` prints one of each protection as curl.
import { accessRequests } from './requests/access.js'
import { callersRequests } from './requests/callers.js'
import { dataRequests } from './requests/data.js'
import { limitsRequests } from './requests/limits.js'
import { tokensRequests } from './requests/tokens.js'
import { wireRequests } from './requests/wire.js'

/**
 * One line of the tour.
 * @typedef {object} TourRequest
 * @property {string} protection what it shows
 * @property {string} shows in words
 * @property {string} [token]
 * @property {string} [method] default GET
 * @property {string} path
 * @property {Record<string, string | string[]>} [headers]
 * @property {object | string} [body] text is sent as it is
 * @property {number} [times] how often, at most, until the promise comes true; others must be answered 2xx
 * @property {true} [brief] one of those that `npm start` prints
 * @property {number} status promised
 * @property {string} stage the one that decides, as promised
 * @property {string} [rule] of that stage
 * @property {(reply: { body: any, headers: Record<string, string> }) => boolean} [reply] what else is promised
 */

/**
 * Who sends them.
 * @typedef {object} Callers
 * @property {Record<'visitor' | 'clerk' | 'trainee' | 'manager' | 'admin' | 'billing' | 'treasurer' | 'elsewhere', string>} tokens real ones
 * @property {ReturnType<import('./forgeries.js').forgeries>} forged
 * @property {string} key of a partner
 * @property {Awaited<ReturnType<import('./bound-client.js').boundClient>>} bound a client that proves possession of its key
 * @property {string} password of who reads the metrics
 */

/** @param {Callers} callers @returns {TourRequest[]} */
export function tourRequests(callers) {
  return [
    ...wireRequests(callers),
    ...tokensRequests(callers),
    ...callersRequests(callers),
    ...accessRequests(callers),
    ...dataRequests(callers),
    ...limitsRequests(callers),
  ]
}
