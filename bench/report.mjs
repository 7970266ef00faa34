// What was measured, as tables, and all targets, each with its verdict.
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { CALLERS, SCENARIOS } from './world.mjs'

const KINDS = { ...SCENARIOS, ...CALLERS }

/** The contestants, in the order of their turns. */
export const CONTESTANTS = {
  bare: { title: 'bare Express', module: 'bare' },
  usual: { title: 'usual stack', module: 'usual' },
  best: { title: 'best stack', module: 'best' },
  fastify: { title: 'fastify', module: 'fastify' },
  use: { title: '`app.use(api)`', module: 'secure-api', variant: 'use' },
  front: { title: 'front door', module: 'secure-api', variant: 'front' },
}

/**
 * Each target: a figure computed inside one turn from the CPU per request of the contestants, and its bound. Where callers are
 * compared, the other kinds of requests are at hand as well.
 */
const TARGETS = [
  ...['get', 'post'].flatMap((scenario) => [
    atMost(scenario, 'use', 'added, of what the usual stack adds', added('use', 'usual'), 0.15),
    atMost(scenario, 'use', 'added, of what the best stack adds', added('use', 'best'), 0.75),
    atMost(scenario, 'front', 'added, of what the usual stack adds', added('front', 'usual'), 0.12),
  ]),
  atMost('get', 'front', 'whole request, of bare Express', ({ front, bare }) => front / bare, 1.3),
  atMost('post', 'front', 'whole request, of bare Express', ({ front, bare }) => front / bare, 1.1),
  ...['use', 'front'].map((door) =>
    atLeast('fresh', door, 'capacity, of the usual stack', (cost) => cost.usual / cost[door], 2),
  ),
  ...Object.entries({ none: 0.8, invalid: 0.8, limited: 0.75, forged: 0.6 }).map(([scenario, bound]) =>
    atLeast(scenario, 'use', 'capacity, of bare Express serving it', ({ use, bare }) => bare / use, bound),
  ),
  ...['none', 'invalid', 'limited'].map((scenario) =>
    atLeast(
      scenario,
      'front',
      'capacity, of bare Express serving it',
      ({ front, bare }) => bare / front,
      2.8,
    ),
  ),
  ...['key', 'session', 'opaque'].flatMap((scenario) =>
    ['use', 'front'].map((door) =>
      atMost(
        scenario,
        door,
        'whole request, of that with a known token',
        (cost, { token }) => cost[door] / token?.[door],
        1,
      ),
    ),
  ),
]

function added(contestant, rival) {
  return (cost) => (cost[contestant] - cost.bare) / (cost[rival] - cost.bare)
}

function atMost(scenario, contestant, what, figure, bound) {
  return {
    scenario,
    contestant,
    what,
    figure,
    bound,
    text: `<= ${bound}`,
    passes: (median) => median <= bound,
  }
}

function atLeast(scenario, contestant, what, figure, bound) {
  return {
    scenario,
    contestant,
    what,
    figure,
    bound,
    text: `>= ${bound}`,
    passes: (median) => median >= bound,
  }
}

/** The share of winston's own File transport that an event may cost at most. */
const AUDIT_SHARE = 0.8

/** CPU time in milliseconds that an API with 50 schemas may take to listen, more than importing express, helmet and ajv. */
const STARTUP_MS = 150

const PROGRAMS = {
  parts: 'imports express, helmet and ajv',
  imported: 'and imports secure-api',
  listens: 'and an API with 50 schemas listens',
  ready: 'and every one of them is compiled (`api.ready()`)',
}

/** The most that parts may cost, by key: microseconds of a call unless a unit is named. */
const PARTS = {
  lookup: [0.5],
  tokenHit: [2],
  tokenBytes: [1024, 'bytes', 0],
  masking: [0.5],
  limiterHit: [2],
  limiterBytes: [80, 'bytes', 0],
  limiterExpiry: [10, 'ms', 1],
  redisRow: [1, 'round trip', 0],
  callerShare: [1, 'x'],
  othersShare: [1.1, 'x'],
  othersAdded: [0.5],
  proofShare: [1.5, 'x'],
}

/** Prints what was measured, and puts it into the page if `write` is set. */
export function reporter({ turns, write }) {
  const say = (block, head, ...tables) => {
    const text = [`${MACHINE}; ${turns} turns; ${head}`, ...tables].join('\n\n')
    console.log(`\n${text}`)
    if (write) writeBlock(block, text)
  }
  return {
    requests: (results) =>
      say(
        'requests',
        'median (p25-p75) of ratios taken inside one turn.',
        costTable(results),
        targetTable(results),
      ),
    audit: (rows) => say('audit', 'median (p25-p75) of ratios taken inside one turn.', auditTable(rows)),
    startup: (taken) => say('startup', 'CPU time in ms, median (p25-p75).', startupTable(taken)),
    micro: (rows) => say('parts', 'CPU time, median (p25-p75).', partsTable(rows)),
  }
}

const MACHINE = `Node ${process.version.slice(1)}, ${cpus()[0].model.trim()}`

function auditTable(rows) {
  return table(
    ['an event to a file', 'target', "of winston's File transport", ''],
    rows.map(({ durability, ratios }) => [
      `\`'${durability}'\``,
      `<= ${AUDIT_SHARE}`,
      show(ratios),
      verdict(middle(ratios) <= AUDIT_SHARE),
    ]),
  )
}

function startupTable(taken) {
  const rows = Object.entries(taken).map(([name, all]) => {
    const added = all.map((ms, turn) => ms - taken.parts[turn])
    const target = name === 'listens' ? [`<= ${STARTUP_MS}`, verdict(middle(added) <= STARTUP_MS)] : ['', '']
    return [PROGRAMS[name], show(all, 0), name === 'parts' ? '' : show(added, 0), ...target]
  })
  return table(['a process', 'took', 'more than the first, in the same turn', 'target', ''], rows)
}

function partsTable(rows) {
  return table(
    ['part', 'target', 'measured', ''],
    rows.map(({ part, key, samples }) => {
      const [bound, unit = 'us', digits = 2] = PARTS[key]
      const measured = samples.length === 1 ? samples[0].toFixed(digits) : show(samples, digits)
      return [part, `<= ${bound} ${unit}`, `${measured} ${unit}`, verdict(middle(samples) <= bound)]
    }),
  )
}

const verdict = (passes) => (passes ? 'pass' : '**missed**')

function costTable(results) {
  const names = Object.keys(Object.values(results)[0])
  const rows = Object.entries(results).map(([scenario, samples]) => {
    const bare = samples.bare.map(({ micros }) => micros)
    const cells = names.map((name) => {
      if (name === 'bare') return `${Math.round(middle(bare))} us`
      return show((samples[name] ?? []).map(({ micros }, turn) => micros / bare[turn]))
    })
    return [KINDS[scenario].title, ...cells]
  })
  const plain = Object.entries(results).flatMap(([scenario, samples]) =>
    scenario in SCENARIOS ? [samples] : [],
  )
  if (plain.length === 0) return table(HEAD(names), rows)
  const memory = names.map((name) => {
    const rss = (one) => plain.flatMap((samples) => samples[one].map((sample) => sample.rss))
    return name === 'bare'
      ? `${Math.round(middle(rss(name)) / 1e6)} MB`
      : show(rss(name).map((bytes, i) => bytes / rss('bare')[i]))
  })
  return table(HEAD(names), [...rows, ['resident memory', ...memory]])
}

const HEAD = (names) => ['CPU per request, of bare Express', ...names.map((name) => CONTESTANTS[name].title)]

function targetTable(results) {
  const rows = TARGETS.filter((target) => isMeasured(target, results)).map((target) => {
    const figures = results[target.scenario].bare.map((_, turn) => figureOf(target, results, turn))
    const { title } = CONTESTANTS[target.contestant]
    return [
      KINDS[target.scenario].title,
      title,
      target.what,
      target.text,
      show(figures),
      verdict(target.passes(middle(figures))),
    ]
  })
  return table(['request', 'served by', 'figure', 'target', 'measured', ''], rows)
}

/** Not if a part of the contestants or scenarios was asked for. */
function isMeasured(target, results) {
  return results[target.scenario] !== undefined && !Number.isNaN(figureOf(target, results, 0))
}

function figureOf({ scenario, figure }, results, turn) {
  const costs = mapValues(results, (samples) => mapValues(samples, (each) => each[turn].micros))
  return figure(costs[scenario], costs)
}

function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]))
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Replaces what stands between `<!-- bench:name -->` and `<!-- /bench:name -->` in the page. */
function writeBlock(name, text) {
  const page = new URL('../docs/performance.md', import.meta.url)
  const [start, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [before, rest] = readFileSync(page, 'utf8').split(start)
  writeFileSync(page, `${before}${start}\n\n${text}\n\n${end}${rest.split(end)[1]}`)
}

/** Nothing for who takes no part. */
function show(values, digits = 2) {
  if (values.length === 0) return ''
  return `${middle(values).toFixed(digits)} (${at(values, 0.25).toFixed(digits)}-${at(values, 0.75).toFixed(digits)})`
}

function middle(values) {
  return at(values, 0.5)
}

function at(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const place = share * (sorted.length - 1)
  const low = sorted[Math.floor(place)]
  return low + (sorted[Math.ceil(place)] - low) * (place % 1)
}
