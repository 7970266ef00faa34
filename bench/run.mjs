// `npm run bench`: everything that the package promises about speed, measured beside a yardstick, in one report.
// `npm run bench -- startup micro`, or `--only startup,micro`, runs some parts; the name of a kind of request (`get`, `limited`) runs
// the part of the requests with that kind alone. `--write` keeps what was measured in docs/performance.md.
import { parseArgs } from 'node:util'
import { installDebian } from '../scripts/prepare.mjs'
import { auditRows } from './audit.mjs'
import { micro } from './micro.mjs'
import { redisRows } from './redis.mjs'
import { CONTESTANTS, reporter } from './report.mjs'
import { requests } from './requests.mjs'
import { startup } from './startup.mjs'
import { CALLERS, SCENARIOS } from './world.mjs'

const PARTS = ['requests', 'audit', 'startup', 'micro']
const KINDS = { ...SCENARIOS, ...CALLERS }

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string', default: '12' },
    ms: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    contestants: { type: 'string', default: Object.keys(CONTESTANTS).join() },
    write: { type: 'boolean', default: false },
  },
})
const turns = Number(options.turns)
const contestants = options.contestants.split(',')
const words = [...options.only.split(','), ...positionals].filter((word) => word !== '')
const kinds = words.filter((word) => word in KINDS)
const wanted = new Set(words.length === 0 ? PARTS : words.filter((word) => PARTS.includes(word)))
if (kinds.length > 0) wanted.add('requests')

const stranger =
  words.find((word) => !PARTS.includes(word) && !kinds.includes(word)) ??
  contestants.find((name) => !(name in CONTESTANTS))
if (stranger !== undefined)
  end(`There is no "${stranger}". Parts: ${PARTS.join(', ')}; requests: ${Object.keys(KINDS).join(', ')}.`)
if (!(turns >= 10) && options.write) end('--write keeps the median of at least 10 turns.')
const isPart = kinds.length > 0 || contestants.length < Object.keys(CONTESTANTS).length
if (isPart && options.write)
  end('--write keeps whole tables: leave out the kinds of requests and the contestants.')

const report = reporter({ turns, write: options.write })
if (wanted.has('micro')) {
  installDebian({ 'redis-server': 'redis-server' })
  report.micro([...micro(turns), ...(await redisRows(turns))])
}
if (wanted.has('startup')) report.startup(startup(turns))
if (wanted.has('audit')) report.audit(await auditRows({ rounds: turns }))
if (wanted.has('requests')) {
  const scenarios = kinds.length > 0 ? kinds : Object.keys(KINDS)
  report.requests(await requests({ turns, ms: Number(options.ms), contestants, scenarios }))
}

function end(why) {
  console.error(why)
  process.exit(1)
}
