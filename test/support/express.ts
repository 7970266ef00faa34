import express4 from 'express4'
import express5, { type Express } from 'express'

type Factory = typeof express5

/** Both supported versions of Express, for `describe.each`. */
export const expressVersions: [name: string, express: Factory][] = [
  ['Express 4', express4],
  ['Express 5', express5],
]

export type { Express }
