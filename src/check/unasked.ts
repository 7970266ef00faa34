import { unaskedBy } from '../kernel/ambient.js'
import { STAGES } from '../kernel/pipeline.js'
import type { Finding, Stage } from '../kernel/stage.js'
import type { AppWalk, Layer } from './app-walk.js'
import type { CheckedApi } from './checked-api.js'
import { markOf } from './guard-mark.js'
import { mustAnswer } from './handlers.js'
import { isInFront, mayBeInFront } from './in-front.js'

/** One protection of a layer, in the order in which requests meet them. */
type Met = Pick<Stage, 'name' | 'unasked'> & { readonly ambient?: unknown }

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Routes that may change something for callers who are known by what browsers send unasked, where no `csrf` stands in between: beside
 * the API, whoever mounts a session mounts `csrf` as well.
 */
export function unaskedFindings({ layers }: AppWalk, checked: CheckedApi): Finding[] {
  const met = new Map(layers.map((layer) => [layer, layer.handlers.flatMap((one) => metIn(one, checked))]))
  const knowing = layers.filter((layer) => met.get(layer)!.some((stage) => unaskedBy(stage) !== undefined))
  if (knowing.length === 0) return []
  return layers.filter(mayChange).flatMap((route) => {
    const before = layers.filter((layer) => layer !== route && mayBeInFront(layer, route))
    // Only a csrf that every request meets counts, and whatever some request meets before.
    const line = [...before.filter((layer) => knowing.includes(layer) || isInFront(layer, route)), route]
    const open = lastOpen(line.flatMap((layer) => met.get(layer)!))
    return open === undefined ? [] : [missing(open, `${route.method} ${route.path}`)]
  })
}

/** The same within the API: a stage of the user's own that stands behind `csrf`. Without any, `csrf-off` says so. */
export function lateFindings({ plans, settings }: CheckedApi): Finding[] {
  const open = lastOpen(plans.everywhere.seats.map(({ stage }) => stage))
  return settings.csrf === false || open === undefined ? [] : [missing(open, undefined)]
}

function metIn(handler: unknown, { api, settings }: CheckedApi): Met[] {
  const mark = markOf(handler)
  if (mark !== undefined) {
    // What another API lets in is for the check of that one.
    const isOn = mark.by !== api || settings.csrf !== false
    const judges = mark.settings === undefined ? isOn : mark.settings.csrf !== undefined
    return judges ? [{ name: 'csrf' }] : []
  }
  const { stage, [STAGES]: stages } = handler as { stage?: Met; [STAGES]?: readonly Met[] }
  return stages === undefined ? (typeof stage?.name === 'string' ? [stage] : []) : [...stages]
}

/** What knows callers and has no `csrf` behind it. */
function lastOpen(met: readonly Met[]): Met | undefined {
  const judged = met.findLastIndex(({ name }) => name === 'csrf')
  return met.slice(judged + 1).find((stage) => unaskedBy(stage) !== undefined)
}

function mayChange({ kind, method, handlers }: Layer): boolean {
  if (kind === 'function') return mustAnswer(handlers[0])
  return !SAFE.has(method)
}

function missing(stage: Met, route: string | undefined): Finding {
  const where = route === undefined ? 'in extra' : `before ${route}`
  return {
    code: 'csrf-missing',
    severity: 'high',
    ...(route === undefined ? {} : { route }),
    cause: `${stage.name} stands ${where} without csrf behind it: ${unaskedBy(stage)}, so pages of other sites can act as whoever visits them`,
    fix:
      route === undefined
        ? "write it into auth, or place it after: 'auth'"
        : `give it to auth of secureApi(), which brings csrf along, or mount csrf() right behind it`,
  }
}
