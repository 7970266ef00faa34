// `npm start`: runs the example API, including all set-up. `npm start -- --tour` runs its tour and ends.
import { spawn } from 'node:child_process'
import { buildIfStale, installPackages, linkPackage } from './prepare.mjs'

installPackages()
buildIfStale()
linkPackage()

const child = spawn(process.execPath, ['examples/orders-api/server.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// The terminal sends its Ctrl-C to both; this one waits, so that the example closes in peace.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code) => process.exit(code ?? 1))
