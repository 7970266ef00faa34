import { refuse } from './kernel/problem.js'
import type { Fact, Stage } from './kernel/stage.js'

/** A stage in its place, and the door through which it came. */
export interface Seat {
  readonly stage: Stage
  readonly door: 'general' | 'route' | 'guard' | 'extra'
}

export function seat(stage: Stage | undefined, door: Seat['door']): Seat | undefined {
  return stage && { stage, door }
}

/** Stands where identity would be asked for. `leavesOut` names stages that need to know who is calling. */
export function publicSeat(leavesOut: readonly string[]): Seat {
  return {
    door: 'route',
    stage: {
      name: 'public',
      enter(ctx) {
        ctx.decided = true
        ctx.note('public', 'the route is public: credentials are not read')
      },
      describe: () => (leavesOut.length === 0 ? {} : { leavesOut }),
    },
  }
}

/** Says that a rule or a guard marks what it fits as sensitive. It meets no request. */
export function sensitiveSeat(door: 'route' | 'guard'): Seat {
  return { door, stage: { name: 'sensitive', reportable: 'never' } }
}

/** Each rule is sound by itself, but no request can be what all of them ask. */
export function contradiction(name: string, gives: readonly Fact[] = []): Stage {
  return {
    name,
    gives,
    reportable: 'never',
    enter: () =>
      refuse('ambiguous-path', {
        rule: 'contradiction',
        detail: 'The path fits rules that exclude one another.',
      }),
  }
}

/** Where nobody is asked who is calling, a stage of the user's that needs to know it has nothing to decide by. */
export function needsCaller(seats: readonly Seat[]): Seat[] {
  const isKnownFrom = seats.findIndex(({ stage }) => stage.gives?.includes('principal'))
  const unasked = isKnownFrom === -1 ? seats : seats.slice(0, isKnownFrom)
  return unasked.filter(({ stage, door }) => door === 'extra' && stage.needs?.includes('principal') === true)
}
