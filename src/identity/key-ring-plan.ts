/** When keys of a ring begin to sign, and how long they are around. All in milliseconds. */
export interface RingRules {
  /** A key signs for so long. */
  readonly rotateMs: number
  /** It is published for so long before. */
  readonly announceMs: number
  /** Tokens of a key are good for so long after the last one was signed. */
  readonly outliveMs: number
}

/** A key as the ring knows it. */
export interface Dated {
  /** When it begins to sign, in milliseconds since 1970. */
  readonly signsFrom: number
}

/** The key that signs now: the newest whose time has come. Without one, the first to come. */
export function signingAt<K extends Dated>(keys: readonly K[], now: number): K | undefined {
  const sorted = bySigning(keys)
  return sorted.findLast(({ signsFrom }) => signsFrom <= now) ?? sorted[0]
}

/** Those whose tokens can be good, and those to come. A key is over when the tokens are that it signed before the next one did. */
export function keptAt<K extends Dated>(keys: readonly K[], now: number, { outliveMs }: RingRules): K[] {
  const sorted = bySigning(keys)
  return sorted.filter((_key, i) => {
    const next = sorted[i + 1]
    return next === undefined || next.signsFrom + outliveMs > now
  })
}

/** When a key that has to be made now begins to sign; `undefined` if none has to be. */
export function dueAt(
  keys: readonly Dated[],
  now: number,
  { rotateMs, announceMs }: RingRules,
): number | undefined {
  const newest = bySigning(keys).at(-1)
  if (newest === undefined) return now
  const due = newest.signsFrom + rotateMs
  return due - announceMs <= now ? Math.max(due, now + announceMs) : undefined
}

function bySigning<K extends Dated>(keys: readonly K[]): K[] {
  return [...keys].sort((a, b) => a.signsFrom - b.signsFrom)
}
