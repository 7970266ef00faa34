// `npm test`: everything a change must pass, including all set-up, on a machine that has Node and Debian's packages.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { installDebian, installPackages, run } from './prepare.mjs'

const REPORT = '.cache/jest-report.json'

installDebian({ 'redis-server': 'redis-server' })
installPackages()
run('npm', ['run', '--silent', 'types'])
run('npm', ['run', '--silent', 'lint'])
run('npm', ['run', '--silent', 'format:check'])
run('npm', ['run', '--silent', 'build', '--', '--log-level', 'error'])

mkdirSync('.cache', { recursive: true })
rmSync(REPORT, { force: true })
const { status } = spawnSync('npx', ['jest', '--json', `--outputFile=${REPORT}`, ...process.argv.slice(2)], {
  stdio: ['ignore', 'ignore', 'inherit'],
})

const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, numPendingTests, numTodoTests } =
  JSON.parse(readFileSync(REPORT, 'utf8'))
const unproven = numFailedTests + numRuntimeErrorTestSuites + numPendingTests + numTodoTests
console.log(`${numPassedTests} passed, ${unproven} failed`)
process.exit(status === 0 && unproven === 0 ? 0 : 1)
