#!/usr/bin/env node
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { run } from './run.js'

// Drivers are those of the project in which it is called.
const load = createRequire(join(process.cwd(), 'package.json'))

void run(process.argv.slice(2), {
  env: process.env,
  load,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
}).then((code) => {
  process.exitCode = code
})
