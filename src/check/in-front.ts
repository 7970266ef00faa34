import { isName } from '../kernel/route-pattern.js'
import type { Layer, Step } from './app-walk.js'

/**
 * Whether every request that meets `later` has met `earlier` before: it stands before it in a router that both share,
 * nothing on the way to it can leave its routers early, and it is mounted under a path that fits whatever fits the other.
 */
export function isInFront(earlier: Layer, later: Layer): boolean {
  const shared = sharedSteps(earlier, later)
  const mine = earlier.steps.slice(shared)
  const theirs = later.steps.slice(shared)
  if (mine.length === 0 || mine[0]!.position >= (theirs[0]?.position ?? 0)) return false
  // Something before it may call next('router').
  if (mine.slice(1).some(({ position }) => position > 0)) return false
  if (mine.some(({ path }) => path?.exact !== true)) return false
  // A hook may call next('route').
  if (mine.some(({ path, hasParamHooks }) => hasParamHooks && path!.segments.some(isName))) return false
  return isPrefix(flat(mine), flat(theirs))
}

/** Whether `earlier` comes first for some request that meets both. */
export function mayBeInFront(earlier: Layer, later: Layer): boolean {
  const shared = sharedSteps(earlier, later)
  const [mine, theirs] = [earlier.steps[shared], later.steps[shared]]
  return (
    mine !== undefined &&
    theirs !== undefined &&
    mine.position < theirs.position &&
    overlap(earlier.segments, later.segments)
  )
}

/** Whether some path fits both. */
export function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let i = 0; ; i++) {
    const [one, other] = [a[i], b[i]]
    if (one === '*' || other === '*' || (one === undefined && other === undefined)) return true
    if (one === undefined || other === undefined) return false
    if (one === other || isName(one) || isName(other)) continue
    if (one.toLowerCase() !== other.toLowerCase()) return false
  }
}

/** How far down both are in the same routers. */
export function sharedSteps(a: Layer, b: Layer): number {
  let shared = 0
  while (a.steps[shared] !== undefined && a.steps[shared] === b.steps[shared]) shared++
  return shared
}

interface FlatPath {
  readonly segments: readonly { readonly text: string; readonly caseSensitive: boolean }[]
  /** After how many segments mounts end, and how many do. */
  readonly joints: ReadonlyMap<number, number>
}

function flat(steps: readonly Step[]): FlatPath {
  const segments: { text: string; caseSensitive: boolean }[] = []
  const joints = new Map<number, number>()
  for (const { path, caseSensitive, isBare } of steps) {
    for (const text of path?.segments ?? ['*']) {
      if (text === '*') return { segments, joints }
      segments.push({ text, caseSensitive })
    }
    if (!isBare) joints.set(segments.length, (joints.get(segments.length) ?? 0) + 1)
  }
  return { segments, joints }
}

function isPrefix(prefix: FlatPath, whole: FlatPath): boolean {
  const length = prefix.segments.length
  // Where a mount ends, Express 4 swallows one more slash: /a//b gets past '/a/b' to '/b' mounted under '/a'.
  for (const [at, count] of whole.joints)
    if (at < length && count > (prefix.joints.get(at) ?? 0)) return false
  return prefix.segments.every(({ text, caseSensitive }, i) => {
    const other = whole.segments[i]
    if (other === undefined) return false
    if (isName(text)) return true
    if (caseSensitive) return other.caseSensitive && other.text === text
    return other.text.toLowerCase() === text.toLowerCase()
  })
}
