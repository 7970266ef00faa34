import type { IntrospectionDesk } from './introspection-desk.js'
import type { IntrospectionRules } from './introspection-options.js'
import { claimedIssuer } from './token.js'

/** Who is to be asked about a token, in turn; nobody if it is of none of them. */
export type DeskFinder = (token: string) => readonly IntrospectionDesk[]

/**
 * Whoever is asked about a token has it then, and could use it: only its own issuer is. A JWT says whose it is; another token does so by
 * what it starts with; what starts with no prefix is of the one issuer that has none.
 */
export function deskFinder(
  { knowsAll }: IntrospectionRules,
  desks: readonly IntrospectionDesk[],
): DeskFinder {
  if (knowsAll) return () => desks
  const byName = new Map(desks.map((desk) => [desk.issuer.name, [desk]]))
  const prefixed = desks.flatMap((desk) =>
    desk.issuer.prefixes.map((prefix) => ({ prefix, only: [desk] as readonly IntrospectionDesk[] })),
  )
  const others = desks.filter(({ issuer }) => issuer.prefixes.length === 0)

  return (token) => {
    const claimed = claimedIssuer(token)
    if (claimed !== undefined) return byName.get(claimed) ?? NOBODY
    return prefixed.find(({ prefix }) => token.startsWith(prefix))?.only ?? others
  }
}

const NOBODY: readonly IntrospectionDesk[] = []
