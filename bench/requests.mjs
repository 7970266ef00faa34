// What requests cost under every kind of protection: all contestants are up at once and take turns of about a second, so that a
// busy machine slows all of them alike, and ratios are taken inside one turn.
import { execSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CONTESTANTS } from './report.mjs'
import { CALLERS, SCENARIOS } from './world.mjs'

/** Requests after which code is compiled, however little of the processor there was. */
const WARM_UP = 6_000
const canPin = process.platform === 'linux' && availableParallelism() > 1

/**
 * @param {{ turns: number, ms: number, contestants: string[], scenarios: string[] }} options `ms`: how long a turn is
 * @returns samples `{ micros, rss, done }`, by scenario and contestant
 */
export async function requests({ turns, ms, contestants: names, scenarios }) {
  // The rivals are no dependencies of the package: they are installed beside it, the first time.
  if (!existsSync(new URL('node_modules', import.meta.url)))
    execSync('npm ci --no-audit --no-fund', { cwd: new URL('.', import.meta.url), stdio: 'inherit' })

  const dir = mkdtempSync(join(tmpdir(), 'secure-api-bench-'))
  const children = []
  try {
    const load = await start(children, 1, 'load.mjs')
    const { jwksUri } = load.hello
    const serve = async (name, { module, variant = '' }) => {
      const world = JSON.stringify({ jwksUri, log: join(dir, `${name} ${module}.log`) })
      return { name, ...(await start(children, 0, 'server.mjs', module, variant, world)) }
    }
    const contestants = []
    for (const name of names) contestants.push(await serve(name, CONTESTANTS[name]))
    const results = {}
    for (const scenario of scenarios.filter((one) => one in SCENARIOS))
      Object.assign(results, await measureAll(load, contestants, [scenario], { turns, ms }))

    const kinds = scenarios.filter((one) => one in CALLERS)
    if (kinds.length === 0) return results
    const doors = contestants.filter(({ name }) => name === 'bare')
    for (const name of names.filter((one) => CONTESTANTS[one].module === 'secure-api'))
      doors.push(await serve(name, { ...CONTESTANTS[name], module: 'callers' }))
    return Object.assign(results, await measureAll(load, doors, kinds, { turns, ms }))
  } finally {
    for (const child of children) child.kill()
    rmSync(dir, { recursive: true })
  }
}

/** All of the scenarios have their part in every turn. */
async function measureAll(load, contestants, scenarios, { turns, ms }) {
  const results = Object.fromEntries(
    scenarios.map((scenario) => [scenario, Object.fromEntries(contestants.map(({ name }) => [name, []]))]),
  )
  // Bare Express is sent the same.
  const credentials = contestants.find(({ hello }) => hello.credentials !== undefined)?.hello.credentials
  // The first turns are not counted: code gets hot, tokens become known, and a limit is used up.
  for (let turn = -2; turn < turns; turn++) {
    let bare
    for (const scenario of scenarios) {
      for (const contestant of contestants) {
        // To bare Express all credentials are alike.
        const how = { scenario, ms, isFirst: turn === -2, credentials }
        const sample = (contestant.name === 'bare' && bare) || (await measure(load, contestant, how))
        if (contestant.name === 'bare') bare = sample
        if (turn >= 0) results[scenario][contestant.name].push(sample)
      }
    }
    process.stderr.write('.')
  }
  process.stderr.write(` ${scenarios.map((one) => (SCENARIOS[one] ?? CALLERS[one]).title).join('; ')}\n`)
  return results
}

async function measure(load, { name, ask, hello }, { scenario, ms, isFirst, credentials }) {
  const own = hello.credentials ?? credentials
  const request = { port: hello.port, scenario, ms, isBare: name === 'bare', credentials: own }
  if (isFirst) request.least = WARM_UP
  if (isFirst && scenario === 'limited' && name !== 'bare')
    await load.ask({ ...request, ms: 120_000, until: 429 })

  const before = await ask('usage')
  const { done, error } = await load.ask(request)
  if (error !== undefined) throw new Error(`${name}, ${scenario}: ${error}`)
  // Logs that are written in the background belong to the turn that caused them.
  await wait(50)
  const { cpu, rss } = await ask('usage')
  return { micros: (cpu.user + cpu.system - before.cpu.user - before.cpu.system) / done, rss, done }
}

/** A script in a process of its own, on a core of its own where that is possible. */
async function start(children, core, script, ...args) {
  const command = [process.execPath, fileURLToPath(new URL(script, import.meta.url)), ...args]
  if (canPin) command.unshift('taskset', '-c', String(core))
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  children.push(child)

  const answer = () =>
    new Promise((resolve, reject) => {
      const ended = (code) => reject(new Error(`${script} ended with ${code}`))
      child.once('exit', ended)
      child.once('message', (message) => {
        child.off('exit', ended)
        resolve(message)
      })
    })
  const ask = (question) => {
    child.send(question)
    return answer()
  }
  return { ask, hello: await answer() }
}
