/* eslint-disable @typescript-eslint/no-explicit-any -- rows of different settings stand in one table */
import type { StageMiddleware } from './stage.js'

/** Where a setting stands. */
export interface Place {
  readonly door: 'general' | 'route' | 'guard'
  /** `POST /orders`; for a guard its number; empty for the general door. Names what belongs to it alone. */
  readonly name: string
  /** The general settings of all rows, as the user wrote them: a route's rule needs the catalogue of roles. */
  readonly settings: Readonly<Record<string, unknown>>
  /** What rows make once and use in many places; one for each `secureApi()`. */
  readonly shared: Map<string, unknown>
}

/**
 * How a factory enters the table.
 * `general` builds the stage for every route. What a route or a guard says about the same row is *added*: `local` builds
 * one more stage that runs behind the general one. A row whose stage can only run once has `merge` instead.
 */
export interface Row<General, Local = General> {
  /** On by default. */
  readonly standard: boolean
  /** `undefined` if the setting is only a catalogue for others. `true` arrives as `{}`. */
  readonly general: (setting: General, place: Place) => StageMiddleware | undefined
  /** The stage that one route adds. Absent: a route must write `{ replace: ... }` or `false`. */
  readonly local?: (setting: Local, place: Place) => StageMiddleware
  /**
   * One setting out of both, at least as strict as the general one except where `loosens` says so. `undefined`: they exclude
   * one another.
   */
  readonly merge?: (general: General, setting: Local, place: Place) => General | undefined
  /** Why nothing could be what the general setting and this one ask together, where both are asked: it follows the name of this one. */
  readonly conflict?: (general: General, setting: Local) => string | undefined
  /** Its stage may run twice: where a rule may not replace it, both run. So may that of every row with `local`. */
  readonly repeatable?: boolean
  /** The stage that a guard adds. Default: `local`. `false`: a guard comes too late for this row, and says so at start. */
  readonly guard?: ((setting: Local, place: Place) => StageMiddleware) | false
  /** What becomes of the row on a public route: `absent`, or replaced by the announcement that everybody may enter. */
  readonly whenPublic?: 'absent' | 'announce'
  /** `false` says nothing clear about this row in a route, and is refused there. */
  readonly inRoute?: 'not-false'
  /** Whether a route's setting, by itself, takes protection away; then the route must be matched exactly. */
  readonly loosens?: (setting: Local) => boolean
  /** What such a setting still adds where it must not take anything away. Default: nothing. */
  readonly tightening?: (setting: Local) => Local | undefined
}

export type AnyRow = Row<any, any>

type Rest<General, Local> = Omit<Row<General, Local>, 'standard'>

/** A row that is on unless it is switched off. */
export function standard<General, Local = General>(row: Rest<General, Local>): StandardRow<General, Local> {
  return { ...row, standard: true }
}

/** A row that is on if it is named. */
export function onDemand<General, Local = General>(row: Rest<General, Local>): OnDemandRow<General, Local> {
  return { ...row, standard: false }
}

type StandardRow<General, Local> = Row<General, Local> & { readonly standard: true }
type OnDemandRow<General, Local> = Row<General, Local> & { readonly standard: false }

/** Options, `false` to leave the row out, and for a standard row `true` for its defaults. */
export type GeneralSetting<R> =
  R extends StandardRow<infer General, any>
    ? General | boolean
    : R extends OnDemandRow<infer General, any>
      ? General | false
      : never
/** A route adds, or takes away in writing. */
export type RouteSetting<R> =
  R extends Row<infer General, infer Local> ? Local | false | { replace: Local | General } : never
/** A guard only adds. */
export type GuardSetting<R> = R extends Row<any, infer Local> ? Local : never
