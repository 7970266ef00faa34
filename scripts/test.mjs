// `npm test`: everything a change must pass, including all set-up, on a machine that has Node and Debian's packages.
// `npm test -- test/traffic` runs some of the tests; what stands before them always runs.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { buildIfStale, installDebian, installPackages, linkPackage, runTogether } from './prepare.mjs'

const REPORT = '.cache/jest-report.json'

installDebian({
  'redis-server': 'redis-server',
  pg_ctlcluster: 'postgresql',
  chromium: 'chromium',
  openssl: 'openssl',
})
installPackages()
await runTogether(
  ['npm', ['run', '--silent', 'lint']],
  ['npm', ['run', '--silent', 'types']],
  ['npm', ['run', '--silent', 'format:check', '--', '--log-level', 'warn']],
)
buildIfStale()
linkPackage()

mkdirSync('.cache', { recursive: true })
rmSync(REPORT, { force: true })
// Jest tells people what failed on stderr; stdout would carry the report once more.
const { status } = spawnSync('npx', ['jest', '--json', `--outputFile=${REPORT}`, ...process.argv.slice(2)], {
  stdio: ['ignore', 'ignore', 'inherit'],
})

if (!existsSync(REPORT)) {
  console.error('Jest ended without a report.')
  process.exit(status || 1)
}
const report = JSON.parse(readFileSync(REPORT, 'utf8'))
/** A test that was skipped, is still to be written or could not be loaded has proven nothing. */
const unproven =
  report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests + report.numTodoTests
console.log(`${report.numPassedTests} passed, ${unproven} failed`)
process.exit(status === 0 && unproven === 0 && report.numPassedTests > 0 ? 0 : 1)
