// Rows of the tour as text.

const COLUMNS = {
  protection: 'protection',
  shows: 'shows',
  request: 'request',
  status: 'status',
  stage: 'decided by',
  why: 'why',
  micros: 'us added',
}

export function print(rows) {
  const lines = [COLUMNS, ...rows].map((row) => Object.keys(COLUMNS).map((name) => String(row[name])))
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  lines.forEach((line, i) => {
    const { broken = [] } = i === 0 ? {} : rows[i - 1]
    const mark = i === 0 ? '  ' : broken.length === 0 ? 'ok' : 'NO'
    console.log(`${mark}  ${line.map((text, column) => text.padEnd(widths[column])).join('  ')}`.trimEnd())
    for (const promise of broken) console.log(`      promised: ${promise}`)
  })
  const kept = rows.filter(({ broken }) => broken.length === 0).length
  console.log(`\n${kept} of ${rows.length} as promised`)
  console.log(
    'us added: all stages together, in microseconds; this process is cold, and waiting for bodies and keys is in it',
  )
}
