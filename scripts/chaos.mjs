// `npm run chaos`: breaks what the package leans on, and measures what becomes of its promises.
// `npm run chaos -- redis jwks` runs the rows that have one of the words in their file, name or promise;
// `npm run chaos -- --write` keeps the table in docs/reliability.md.
import { fork } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { buildIfStale, installDebian, installPackages } from './prepare.mjs'

const PAGE = 'docs/reliability.md'
const TABLE = /(?<=<!-- table -->\n)[^]*(?=<!-- \/table -->)/
const ROW_MS = 240_000

const args = process.argv.slice(2)
const write = args.includes('--write')
const words = args.filter((arg) => !arg.startsWith('--')).map((word) => word.toLowerCase())
if (write && words.length > 0) {
  console.error('--write keeps the whole table, so it runs all rows: leave out the words.')
  process.exit(1)
}

installDebian({ 'redis-server': 'redis-server' })
installPackages()
buildIfStale()

const rows = (await allRows()).filter(isWanted)
if (rows.length === 0) {
  console.error(`No row has ${words.join(' or ')} in it.`)
  process.exit(1)
}

let current
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    if (current !== undefined) end(current)
    process.exit(1)
  })
}

const done = []
for (const row of rows) {
  const result = await run(row)
  done.push({ ...row, ...result })
  console.log(`${result.ok ? 'ok  ' : 'FAIL'} ${row.group}: ${row.name}\n     ${result.measured}`)
}

const table = asTable(done)
console.log(`\n${table}`)
if (write) {
  const machine = `Measured with Node ${process.versions.node} on ${availableParallelism()} cores that others used too.`
  writeFileSync(
    PAGE,
    readFileSync(PAGE, 'utf8').replace(TABLE, () => `\n${machine}\n\n${table}\n`),
  )
}

const failed = done.filter(({ ok }) => !ok)
console.log(`${done.length - failed.length} of ${done.length} promises kept`)
process.exit(failed.length === 0 ? 0 : 1)

async function allRows() {
  const files = readdirSync(new URL('chaos/', import.meta.url)).filter((file) => file.endsWith('.mjs'))
  const groups = files.sort().map(async (file) => {
    const { rows } = await import(new URL(`chaos/${file}`, import.meta.url))
    return rows.map(({ name, promise }, index) => ({
      file,
      index,
      group: basename(file, '.mjs'),
      name,
      promise,
    }))
  })
  return (await Promise.all(groups)).flat()
}

function isWanted({ group, name, promise }) {
  const text = `${group} ${name} ${promise}`.toLowerCase()
  return words.length === 0 || words.some((word) => text.includes(word))
}

/** A process of its own for each row, at the head of a group of its own: what hangs in it ends with it. */
function run({ file, index }) {
  return new Promise((resolve) => {
    const child = fork(new URL('chaos/support/one-row.mjs', import.meta.url), [file, String(index)], {
      detached: true,
      execArgv: ['--expose-gc'],
    })
    current = child
    let result = { ok: false, measured: 'ended without a result' }
    const late = setTimeout(() => {
      result = { ok: false, measured: `took longer than ${ROW_MS / 1000} s` }
      end(child)
    }, ROW_MS)
    child.once('message', (message) => (result = message))
    child.once('exit', () => {
      clearTimeout(late)
      end(child)
      current = undefined
      resolve(result)
    })
  })
}

function end({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
}

function asTable(results) {
  const lines = results.map(
    ({ group, name, promise, measured, ok }) =>
      `| ${[`${group}: ${name}`, promise, measured, ok ? 'yes' : '**no**'].map(cell).join(' | ')} |`,
  )
  return ['| What happens | Promise | Measured | Kept |', '| --- | --- | --- | --- |', ...lines, ''].join(
    '\n',
  )
}

function cell(text) {
  return String(text).replace(/\s+/g, ' ').replaceAll('|', '\\|')
}
