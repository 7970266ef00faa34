import type { IncomingMessage } from 'node:http'
import { knownKeys, membersOf, show } from '../kernel/check.js'
import { contextOf, loadedResource, type SecurityContext } from '../kernel/context.js'
import { defineStage, type Standalone } from '../kernel/define.js'
import { isGone } from '../kernel/is-gone.js'
import { refuse, type Problem } from '../kernel/problem.js'
import { CATALOGUE_KEYS, compileCatalogue, type Catalogue } from '../kernel/rule.js'
import type { Finding, Stage, StageMiddleware } from '../kernel/stage.js'
import { isStrayPromise, isThenable } from '../lib/when.js'
import { RequestFacts, type OwnResource } from './access-facts.js'
import { brokenUnlessAway, inItsTime } from './answers.js'
import {
  compileDefaults,
  compileOwnership,
  OWNERSHIP_KEYS,
  OWNERSHIP_PROTECTING,
  type CompiledOwnership,
  type OwnershipOptions,
  type OwnershipPlace,
  type OwnershipRule,
  type OwnershipSettings,
} from './ownership-options.js'
import { unauthenticated } from './unauthenticated.js'

export type {
  LoadFacts,
  Loaded,
  Owner,
  OwnershipDefaults,
  OwnershipOptions,
  OwnershipRule,
  OwnershipSettings,
} from './ownership-options.js'

/** `ownership(...)` as middleware, which knows the type of what it has loaded. */
export type OwnershipMiddleware<Resource extends object> = StageMiddleware & {
  /**
   * What was loaded for this request.
   *
   * @throws Error if the request did not pass through here
   */
  resource(req: IncomingMessage): Resource
}

/**
 * Lets only the owner of the object that a request names at it, and loads it once, for policies and the handler too:
 * `req.security.resource`. Nothing there, or somebody else's: 404 `not-found`, the same to the byte. Without a principal: 401
 * `unauthenticated`. A store that is away, or no answer in time: 503 `store-unavailable`. What throws: 500.
 *
 * @example
 * const ownOrder = ownership({ load: ({ params }) => orders.find(params.id), owner: 'customerId' })
 * app.get('/orders/:id', ownOrder, (req, res) => res.json(ownOrder.resource(req)))
 * @throws ConfigError naming option, rule, value and fix
 */
export function ownership<Resource extends object>(
  options: OwnershipOptions<Resource> & Catalogue,
  standalone?: Standalone,
): OwnershipMiddleware<Resource> {
  const own: OwnResource<Resource> = { symbol: Symbol('ownership.own') }
  return Object.assign(alone({ options: options as object as OwnershipOptions, own }, standalone), {
    resource(req: IncomingMessage): Resource {
      const found = contextOf(req)?.get(own)
      if (found === undefined || found === null)
        throw new Error('ownership: nothing was loaded for this request here')
      return found
    },
  })
}

interface Alone {
  readonly options: OwnershipOptions & Catalogue
  readonly own: OwnResource
}

const alone = defineStage('ownership', ({ options, own }: Alone): Omit<Stage, 'name'> => {
  knownKeys(
    'ownership',
    options,
    [...OWNERSHIP_KEYS, ...CATALOGUE_KEYS],
    [...OWNERSHIP_PROTECTING, ...CATALOGUE_KEYS],
  )
  const catalogue = compileCatalogue(options, 'ownership')
  const place = { option: 'ownership', catalogue, paramsOf: 'handler', severalIssuers: false } as const
  return stageOf(compileOwnership(options, place), own)
})

/**
 * Checks the general setting. A stage if it says what to load; `undefined` if it only says how to compare.
 *
 * @param own makes the place of what it loads
 */
export function ownershipDefault(
  settings: OwnershipSettings,
  place: OwnershipPlace,
  own: () => OwnResource,
): StageMiddleware | undefined {
  knownKeys(place.option, settings, OWNERSHIP_KEYS, OWNERSHIP_PROTECTING)
  if (settings.load !== undefined) return compiled({ rules: compileOwnership(settings, place), own: own() })
  compileDefaults(settings, place)
  return undefined
}

/** The stage of one route or guard, which compares as the general setting says unless it says so itself. */
export function ownershipWith(
  general: OwnershipSettings | undefined,
  local: OwnershipRule,
  place: OwnershipPlace,
  own: OwnResource,
): StageMiddleware {
  knownKeys(place.option, local, OWNERSHIP_KEYS, OWNERSHIP_PROTECTING)
  const both = [general ?? {}, local].flatMap((one) => membersOf(place.option, one))
  return compiled({ rules: compileOwnership(Object.fromEntries(both), place), own })
}

interface Compiled {
  readonly rules: CompiledOwnership
  readonly own: OwnResource
}

const compiled = defineStage('ownership', ({ rules, own }: Compiled) => stageOf(rules, own))

function stageOf(rules: CompiledOwnership, own: OwnResource): Omit<Stage, 'name'> {
  const { load, ownerOf, callerAs, issuers, unless, isHidden, timeoutMs, paramsOf, oneIssuer, described } =
    rules
  const deadline = { timeoutMs, code: 'store-unavailable', rule: 'load-timeout' } as const

  const judge = (ctx: SecurityContext, resource: unknown): Problem | undefined => {
    if (resource === undefined || resource === null) return refuse('not-found', MISSING)
    if (typeof resource !== 'object')
      throw new TypeError(`ownership.load must find an object or nothing, got ${show(resource)}`)
    ctx.set(loadedResource, resource)
    ctx.set(own, resource)

    const { issuer, method } = ctx.principal!
    const isCounted = issuers === undefined || issuers.has(issuer ?? method)
    if (isCounted && isOwner(ownerOf(resource), callerAs(ctx.principal!))) {
      ctx.note('owner', 'it belongs to the caller')
    } else if (unless?.test(ctx) === true) {
      ctx.note('unless', 'the caller holds what lets others in')
    } else {
      return refuse(isHidden ? 'not-found' : 'forbidden', isCounted ? FOREIGN : OTHER_ISSUER)
    }
    ctx.decided = true
    return undefined
  }

  const find = async (ctx: SecurityContext, answer: PromiseLike<unknown>): Promise<Problem | undefined> => {
    const resource = await inItsTime(ctx, deadline, Promise.resolve(answer).then(held))
    if (!(resource instanceof Held)) return resource
    return isGone(ctx) ? refuse('store-unavailable', NOBODY_WAITS) : judge(ctx, resource.value)
  }

  return {
    needs: ['principal'],
    oneIssuer,
    decides: true,
    timeoutMs: false,
    enter(ctx) {
      const { principal } = ctx
      if (principal === undefined) return unauthenticated(ctx, 'owner')
      // What a wider rule has loaded is not what this one is about.
      if (ctx.resource !== undefined) ctx.set(loadedResource, undefined)
      ctx.set(own, null)
      let answer: unknown
      try {
        answer = load(new RequestFacts(ctx, principal, paramsOf))
      } catch (error) {
        return brokenUnlessAway(error)
      }
      return isThenable(answer) ? find(ctx, answer) : judge(ctx, answer)
    },
    describe: () => described,
    findings: () => (unless?.trivial === true ? [TRIVIAL] : []),
  }
}

/** What was loaded, which may be a refusal of the application's as well as anything else. */
class Held {
  constructor(readonly value: unknown) {}
}

const held = (value: unknown): Held => new Held(value)

/** Text alone is compared: what is missing on both sides is not the same. @throws TypeError for a promise */
function isOwner(owner: unknown, caller: unknown): boolean {
  // All of them: each may be rejected, and nobody else asks for it.
  const strays = Array.isArray(owner) ? owner.filter(isStrayPromise).length > 0 : isStrayPromise(owner)
  if (strays) throw new TypeError('ownership.owner returned a promise; it must answer at once')
  if (Array.isArray(owner)) return owner.some((one) => isCaller(one, caller))
  return isCaller(owner, caller)
}

function isCaller(owner: unknown, caller: unknown): boolean {
  if (typeof owner !== 'string' || owner === '') return false
  return owner === caller || (Array.isArray(caller) && caller.includes(owner))
}

const MISSING = { rule: 'missing', reason: 'there is no such object' }
const FOREIGN = { rule: 'foreign', reason: 'the object belongs to somebody else' }
const OTHER_ISSUER = { rule: 'foreign-issuer', reason: 'callers of this issuer own nothing here' }
const NOBODY_WAITS = { rule: 'load-timeout', reason: 'nobody waits for the answer any more' }

const TRIVIAL: Finding = {
  code: 'ownership-unless-trivial',
  cause: 'The "unless" of ownership lets every authenticated caller at what belongs to others.',
  fix: "Name the permission or role that may: unless: 'orders:read-any'.",
  severity: 'medium',
}
