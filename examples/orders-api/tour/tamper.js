// What somebody who can write the audit trail may do to it, and what verification makes of that.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Each takes the lines of a trail and returns those of a false one. */
const TAMPERED = {
  changed: (lines) => lines.with(5, lines[5].replace('"time":"20', '"time":"19')),
  removed: (lines) => lines.toSpliced(5, 1),
  swapped: (lines) => lines.with(5, lines[9]).with(9, lines[5]),
  truncated: (lines) => lines.slice(0, -3),
}

const DONE = {
  changed: 'changed line 6',
  removed: 'took out line 6',
  swapped: 'swapped lines 6 and 10',
  truncated: 'cut off the end',
}

/**
 * @param {ReturnType<import('./audit-trail.js').auditTrail>} trail closed by now
 * @param {string} folder where false trails may be put
 * @param {string[]} secrets that must not be in it
 */
export async function trailRows(trail, folder, secrets) {
  const written = readFileSync(trail.path, 'utf8')
  const lines = written.trimEnd().split('\n')
  const { ok, tail } = await trail.verify()
  const leaks = secrets.filter((secret) => written.includes(secret))

  const rows = [
    row('the trail as it was written', `tail ${tail}`, ok && tail === 'proven'),
    row('holds no token, address or card', `${leaks.length} found`, leaks.length === 0),
  ]
  for (const [kind, tamper] of Object.entries(TAMPERED)) {
    const file = join(folder, `${kind}.jsonl`)
    writeFileSync(file, `${tamper(lines).join('\n')}\n`)
    const { problems } = await trail.verify(file)
    const found = problems.map((problem) => `line ${problem.line} ${problem.kind}`)
    rows.push(row(`somebody ${DONE[kind]}`, found.join(', '), problems[0]?.kind === kind))
  }
  return rows

  function row(shows, why, kept) {
    return {
      protection: 'audit',
      shows,
      request: `(${lines.length} lines)`,
      status: '',
      stage: 'audit',
      why,
      micros: '',
      broken: kept ? [] : ['that the trail says so'],
    }
  }
}
