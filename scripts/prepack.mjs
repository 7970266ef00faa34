// Before `npm pack` and `npm publish`: a clean build, also in a fresh clone.
import { installPackages, run } from './prepare.mjs'

installPackages()
run('npm', ['run', '--silent', 'build', '--', '--log-level', 'error'])
