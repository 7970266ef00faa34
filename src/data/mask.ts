import { knownKeys } from '../kernel/check.js'
import { defineStage } from '../kernel/define.js'
import { CATALOGUE_KEYS, compileCatalogue, type Catalogue, type CompiledCatalogue } from '../kernel/rule.js'
import type { Finding, Stage, StageMiddleware } from '../kernel/stage.js'
import { compileMap, type CompiledMask, type MaskLimits, type MaskMap } from './mask-map.js'
import { maskValue } from './mask-value.js'

export type { MaskException, MaskLimits, MaskMap } from './mask-map.js'
export type { HashKey, Style } from './mask-styles.js'

/** A map with its options. */
export interface MaskSettings extends MaskLimits {
  /** What is hidden, and how. A map of its own if this is an object; otherwise `fields` is a path like any other. */
  fields: MaskMap
}

/** The options of a mask that stands alone, with the catalogue that its `unless` rules are checked against. */
export interface MaskOptions extends MaskSettings, Catalogue {}

/**
 * Hides values in JSON replies, and in facts that go on record, by path. The handler's own objects are left as they are. What cannot be masked for certain
 * (nested too deep, circular, a style that throws) is not sent: 500 `unshapable`.
 *
 * @example
 * app.use(mask({ 'card.number': 'last4', '**.email': { as: 'email', unless: 'pii:read' } }))
 */
export const mask = defineStage('mask', (setting: MaskMap | MaskOptions): Omit<Stage, 'name'> => {
  if (!hasFields(setting)) return stageOf(compile('mask', { fields: setting }, compileCatalogue()))
  knownKeys('mask', setting, [...SETTINGS_KEYS, ...CATALOGUE_KEYS], CATALOGUE_KEYS)
  return stageOf(compile('mask', setting, compileCatalogue(setting, 'mask')))
})

const SETTINGS_KEYS = ['fields', 'key', 'maxDepth'] as const

export interface MaskPlace {
  /** What to call the setting in messages. Default `'mask'`. */
  option?: string
  /** The setting for all routes, whose `key` and `maxDepth` hold where this one has none. */
  general?: MaskMap | MaskSettings | undefined
  /** Whether facts that go on record are masked as well. Default true. */
  facts?: boolean
}

/** The stage of one map, its `unless` rules in the words of a catalogue that is kept elsewhere. */
export function maskWith(
  setting: MaskMap | MaskSettings,
  catalogue: Catalogue | CompiledCatalogue | undefined,
  { option = 'mask', general, facts = true }: MaskPlace = {},
): StageMiddleware {
  const words = compileCatalogue(catalogue)
  const limits = hasFields(general) ? general : {}
  if (!hasFields(setting)) return masked(compile(option, { ...limits, fields: setting }, words, facts))
  knownKeys(option, setting, SETTINGS_KEYS)
  return masked(compile(option, { ...limits, ...setting }, words, facts))
}

interface Masks {
  readonly replies: CompiledMask
  /** Facts are built otherwise than replies, so paths begin at any depth; and nobody is excused. */
  readonly facts: ((facts: unknown) => unknown) | undefined
}

function compile(
  option: string,
  { fields, key, maxDepth }: MaskSettings,
  catalogue: CompiledCatalogue,
  facts = true,
): Masks {
  const limits = { key, ...(maxDepth !== undefined && { maxDepth }) }
  return {
    replies: compileMap(option, fields, limits, catalogue),
    facts: facts ? maskValue(fields, { ...limits, option, anywhere: true }) : undefined,
  }
}

const masked = defineStage('mask', (masks: Masks) => stageOf(masks))

function stageOf({ replies, facts }: Masks): Omit<Stage, 'name'> {
  const { patterns, rules, maxDepth, apply } = replies
  return {
    ...(facts && { conceal: facts }),
    reportable: 'by-name',
    shape(ctx, body) {
      const held = rules.length === 0 ? NONE : rules.map((rule) => rule.test(ctx))
      if (ctx.trace === undefined) return apply(body, held)

      const hits = new Set<number>()
      const shown = apply(body, held, hits)
      const paths = [...hits].sort((a, b) => a - b).map((index) => patterns[index]!.path)
      ctx.note('mask', paths.length === 0 ? 'the reply holds nothing to mask' : `masked ${paths.join(', ')}`)
      return shown
    },
    describe: () => ({
      fields: Object.fromEntries(
        patterns.map(({ path, style, unless }) => [
          path,
          unless === undefined ? style : { as: style, unless: rules[unless]!.describe() },
        ]),
      ),
      maxDepth,
    }),
    findings: () =>
      patterns
        .filter(({ unless }) => unless !== undefined && rules[unless]!.trivial)
        .map(({ path }) => trivial(path)),
  }
}

const NONE: readonly boolean[] = []

/** Whether a setting is a map with its options, and not a map alone. */
export function hasFields(setting: unknown): setting is MaskSettings {
  if (typeof setting !== 'object' || setting === null) return false
  const fields: unknown = Object.getOwnPropertyDescriptor(setting, 'fields')?.value
  return typeof fields === 'object' && fields !== null
}

function trivial(path: string): Finding {
  return {
    code: 'mask-unless-trivial',
    cause: `mask shows "${path}" to every authenticated caller, because its "unless" rule asks for nothing else.`,
    fix: `Name the permission or role that may see it: { as: ..., unless: 'pii:read' }.`,
    severity: 'medium',
  }
}
