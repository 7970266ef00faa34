// `npm run bench`: CPU per request of a secured Express API, beside the same API without protection.
// Contestants take turns of a second each, so that a busy machine slows all of them alike; only ratios are worth quoting.
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NAMES = ['bare Express', 'secureApi, app.use', 'secureApi, front door']
const REQUESTS = ['authenticated', 'no token']
const TURNS = Number(process.env.BENCH_TURNS ?? 12)
const TURN_MS = 1_000
const CONNECTIONS = 32

const dir = mkdtempSync(join(tmpdir(), 'secure-api-bench-'))
const contestants = await Promise.all(NAMES.map(start))
const costs = REQUESTS.map(() => NAMES.map(() => []))

for (let turn = -1; turn < TURNS; turn++) {
  for (const [r, kind] of REQUESTS.entries()) {
    for (const [c, contestant] of contestants.entries()) {
      const cost = await measure(contestant, kind)
      if (turn >= 0) costs[r][c].push(cost)
    }
  }
}

for (const [r, kind] of REQUESTS.entries()) {
  console.log(`\nGET, ${kind}: CPU per request as a multiple of bare Express (median; p25-p75; n = ${TURNS})`)
  for (const [c, name] of NAMES.entries()) {
    const ratios = costs[r][c].map((cost, turn) => cost / costs[r][0][turn]).sort((a, b) => a - b)
    const at = (share) => ratios[Math.floor(share * (ratios.length - 1))].toFixed(2)
    console.log(`  ${name.padEnd(24)} ${at(0.5)}  (${at(0.25)}-${at(0.75)})`)
  }
}
for (const { child } of contestants) child.kill()
rmSync(dir, { recursive: true })

async function start(name, i) {
  const child = fork(new URL('server.mjs', import.meta.url), [name], {
    env: { ...process.env, NODE_ENV: 'production', BENCH_AUDIT: join(dir, `audit-${i}.log`) },
  })
  const { port, token } = await answerOf(child)
  return { child, port, token, agent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }) }
}

async function measure(contestant, kind) {
  const before = await cpuOf(contestant.child)
  const until = performance.now() + TURN_MS
  let done = 0
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < until) {
        await send(contestant, kind)
        done++
      }
    }),
  )
  const after = await cpuOf(contestant.child)
  return (after.user + after.system - before.user - before.system) / done
}

function send({ port, token, agent }, kind) {
  const headers = kind === 'authenticated' ? { authorization: `Bearer ${token}` } : {}
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/orders/o-1', agent, headers }, (res) => {
      if (kind === 'authenticated' && res.statusCode !== 200) reject(new Error(`answered ${res.statusCode}`))
      res.resume().once('end', resolve)
    })
      .once('error', reject)
      .end()
  })
}

async function cpuOf(child) {
  child.send('cpu')
  return answerOf(child)
}

function answerOf(child) {
  return new Promise((resolve, reject) => {
    const ended = (code) => reject(new Error(`a server ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (answer) => {
      child.off('exit', ended)
      resolve(answer)
    })
  })
}
