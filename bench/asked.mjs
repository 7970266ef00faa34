// What the programs share that measure parts of identity: a request as it was just read from the wire, and what it costs to ask about it.
import { createHmac, randomUUID } from 'node:crypto'
import { SecurityContext } from '../src/kernel/context.ts'

export const ISSUER = 'https://issuer.test'
export const CALLERS = 1_000
export const CALLS = 20_000

/** Microseconds of CPU time of a call. */
export async function eachOf(calls, call) {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) {
    const late = call(i)
    if (late !== undefined) await late
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** Takes turns, so that a busy machine slows all alike; the first turns are those in which code gets hot. */
export async function inTurns(turns, costs) {
  const taken = Object.fromEntries(Object.keys(costs).map((name) => [name, []]))
  for (let turn = -3; turn < turns; turn++) {
    for (const [name, measure] of Object.entries(costs)) {
      const cost = await measure()
      if (turn >= 0) taken[name].push(cost)
    }
  }
  return taken
}

/** A request with these fields, whose text was just read from the wire. */
export function requestWith(fields, services, socket = {}) {
  const headers = {}
  const rawHeaders = []
  for (const name in fields) {
    headers[name] = Buffer.from(fields[name], 'latin1').toString('latin1')
    rawHeaders.push(name, headers[name])
  }
  return new SecurityContext({ method: 'GET', url: '/orders', headers, rawHeaders, socket }, {}, services)
}

/** Asks a stage who this is; nothing but a known caller will do. */
export function known(stage, ctx) {
  const verdict = stage.enter(ctx)
  const look = (refused) => {
    if (refused !== undefined || ctx.principal === undefined) throw new Error(`refused: ${refused?.rule}`)
  }
  return typeof verdict?.then === 'function' ? verdict.then(look) : look(verdict)
}

export function list(make) {
  return Array.from({ length: CALLERS }, (_, i) => make(i))
}

export function mint(secret, claims) {
  const now = Math.floor(Date.now() / 1000)
  const times = { iat: now, exp: now + 3600, scope: 'orders:read' }
  const payload = { iss: ISSUER, aud: 'orders', client_id: 'shop', jti: randomUUID(), ...times, ...claims }
  const text = `${encoded({ alg: 'HS256', typ: 'at+jwt' })}.${encoded(payload)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
