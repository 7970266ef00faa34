import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A line of a tour. */
export interface Row {
  readonly line: string
  readonly kept: boolean
  readonly protection: string
}

interface Answer {
  readonly kept: boolean
  readonly output: string
  readonly error?: string
}

interface Worker {
  readonly child: ChildProcess
  readonly ended: Promise<[{ error: string }]>
}

const children: ChildProcess[] = []
let worker: Worker | undefined

/** The tour of a copy of the orders API as a user starts it, in a process of its own. */
export async function tour(cwd: string): Promise<{ code: number; rows: Row[]; output: string }> {
  const child = spawn(process.execPath, ['server.js', '--tour'], { cwd })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, rows: rowsOf(output), output }
}

/** The same in one process for all that are asked for, one at a time. Whether it was kept is what its exit code would be. */
export async function tourInTurn(cwd: string): Promise<{ kept: boolean; rows: Row[] }> {
  const { child, ended } = (worker ??= startWorker())
  child.send(cwd)
  const [{ kept, output, error }] = (await Promise.race([once(child, 'message'), ended])) as [Answer]
  if (error !== undefined) throw new Error(error)
  return { kept, rows: rowsOf(output) }
}

function startWorker(): Worker {
  const child = fork(join(__dirname, 'tour-worker.mjs'), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  children.push(child)
  return { child, ended: once(child, 'close').then(() => [{ error: 'the process of the tours ended' }]) }
}

export function endTours(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  worker = undefined
}

function rowsOf(output: string): Row[] {
  return output
    .split('\n')
    .filter((line) => /^(?:ok|NO) {2}/.test(line))
    .map((line) => ({ line, kept: line.startsWith('ok'), protection: /^.{4}(\S+)/.exec(line)![1]! }))
}
