// What was measured, as tables: all contestants side by side, and each target with its verdict.
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { SCENARIOS } from './world.mjs'

/** The contestants, in the order of their turns. */
export const CONTESTANTS = {
  bare: { title: 'bare Express', module: 'bare' },
  usual: { title: 'usual stack', module: 'usual' },
  best: { title: 'best stack', module: 'best' },
  fastify: { title: 'fastify', module: 'fastify' },
  use: { title: '`app.use(api)`', module: 'secure-api', variant: 'use' },
  front: { title: 'front door', module: 'secure-api', variant: 'front' },
}

/** Each target: a figure computed inside one turn from the CPU per request of the contestants, and its bound. */
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

/** Prints both tables, and puts them into the page if `write` is set. */
export function report(results, { turns, write }) {
  const text = [
    `Node ${process.version.slice(1)}, ${cpus()[0].model.trim()}; ${turns} turns; median (p25-p75) of ratios taken inside one turn.`,
    costTable(results),
    targetTable(results),
  ].join('\n\n')
  console.log(`\n${text}`)
  if (write) writeBlock('requests', text)
}

function costTable(results) {
  const names = Object.keys(Object.values(results)[0])
  const rows = Object.entries(results).map(([scenario, samples]) => {
    const bare = samples.bare.map(({ micros }) => micros)
    const cells = names.map((name) =>
      name === 'bare'
        ? `${Math.round(middle(bare))} us`
        : show(samples[name].map(({ micros }, turn) => micros / bare[turn])),
    )
    return [SCENARIOS[scenario].title, ...cells]
  })
  const memory = names.map((name) => {
    const rss = (one) => Object.values(results).flatMap((samples) => samples[one].map((sample) => sample.rss))
    return name === 'bare'
      ? `${Math.round(middle(rss(name)) / 1e6)} MB`
      : show(rss(name).map((bytes, i) => bytes / rss('bare')[i]))
  })
  return table(
    ['CPU per request, of bare Express', ...names.map((name) => CONTESTANTS[name].title)],
    [...rows, ['resident memory', ...memory]],
  )
}

function targetTable(results) {
  const rows = TARGETS.filter((target) => isMeasured(target, results)).map((target) => {
    const samples = results[target.scenario]
    const figures = samples.bare.map((_, turn) =>
      target.figure(mapValues(samples, (each) => each[turn].micros)),
    )
    const verdict = target.passes(middle(figures)) ? 'pass' : '**missed**'
    const { title } = CONTESTANTS[target.contestant]
    return [SCENARIOS[target.scenario].title, title, target.what, target.text, show(figures), verdict]
  })
  return table(['request', 'served by', 'figure', 'target', 'measured', ''], rows)
}

/** Not if a part of the contestants or scenarios was asked for. */
function isMeasured({ scenario, figure }, results) {
  const samples = results[scenario]
  return samples !== undefined && !Number.isNaN(figure(mapValues(samples, ([{ micros }]) => micros)))
}

function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]))
}

export function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Replaces what stands between `<!-- bench:name -->` and `<!-- /bench:name -->` in the page. */
export function writeBlock(name, text) {
  const page = new URL('../docs/performance.md', import.meta.url)
  const [start, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [before, rest] = readFileSync(page, 'utf8').split(start)
  writeFileSync(page, `${before}${start}\n\n${text}\n\n${end}${rest.split(end)[1]}`)
}

export function show(values, digits = 2) {
  return `${middle(values).toFixed(digits)} (${at(values, 0.25).toFixed(digits)}-${at(values, 0.75).toFixed(digits)})`
}

export function middle(values) {
  return at(values, 0.5)
}

function at(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const place = share * (sorted.length - 1)
  const low = sorted[Math.floor(place)]
  return low + (sorted[Math.ceil(place)] - low) * (place % 1)
}
