import { transformSync } from '@swc/core'
import { spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const ROOT = resolve(__dirname, '../../..')

export interface Child {
  readonly process: ChildProcess
  /** Lines the child has printed so far. */
  readonly printed: string[]
  /** Resolves when the child has printed a line that begins with `start`, to the rest of it. */
  until(start: string): Promise<string>
  /** Resolves when the child is gone. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
}

/** The sources as plain JavaScript, so that a real process can be started, and killed, without a build. */
export function compiled(): {
  start(
    script: string,
    args?: readonly string[],
    shell?: string,
    user?: { uid?: number; gid?: number },
  ): Child
  /** Kills what is still running. */
  stop(): void
  remove(): void
} {
  const directory = mkdtempSync(join(tmpdir(), 'audit-child-'))
  chmodSync(directory, 0o755)
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, 'package.json'), '{"type":"commonjs"}')
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const target = join(directory, 'src', file.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, javascript(readFileSync(join(ROOT, 'src', file), 'utf8')))
  }

  const children = new Set<ChildProcess>()
  return {
    start(script, args = [], shell, user = {}) {
      const main = join(directory, 'main.cjs')
      writeFileSync(main, script)
      const command = [process.execPath, main, ...args]
      const [program, ...rest] =
        shell === undefined ? command : ['sh', '-c', `${shell}; exec "$@"`, 'sh', ...command]
      const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...user })
      children.add(child)
      return watch(child)
    },
    stop() {
      for (const child of children) child.kill('SIGKILL')
      children.clear()
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

function javascript(source: string): string {
  return transformSync(source, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  }).code
}

function watch(child: ChildProcess): Child {
  const printed: string[] = []
  const waiting = new Set<() => void>()
  let rest = ''
  let stderr = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    printed.push(...lines)
    for (const check of waiting) check()
  })
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>(
    (done) => {
      child.on('close', (code, signal) => done({ code, signal, stderr }))
    },
  )
  return {
    process: child,
    printed,
    ended,
    until: (start) =>
      new Promise((found, failed) => {
        const check = (): void => {
          const line = printed.find((one) => one.startsWith(start))
          if (line === undefined) return
          waiting.delete(check)
          found(line.slice(start.length))
        }
        waiting.add(check)
        void ended.then((how) => failed(new Error(`ended without "${start}": ${JSON.stringify(how)}`)))
        check()
      }),
  }
}
