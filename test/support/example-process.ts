import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process'

const children: ChildProcess[] = []

/** Starts the example in a folder; resolves when `sign` was printed. */
export async function startedExample(cwd: string, env: Record<string, string>, sign: string) {
  const child = spawn(process.execPath, ['server.js'], { cwd, env: { ...process.env, ...env } })
  children.push(child)
  return { child, output: await printed(child, sign) }
}

/** Resolves when a child has printed `sign`, with a view of all that it prints. */
export async function printed(child: ChildProcessWithoutNullStreams, sign: string): Promise<() => string> {
  let text = ''
  await new Promise<void>((found, fail) => {
    const read = (chunk: string) => {
      text += chunk
      if (text.includes(sign)) found()
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.once('close', () => fail(new Error(`ended before it printed "${sign}": ${text}`)))
  })
  return () => text
}

/** Ends those that have not ended yet. */
export function endExamples(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL')
}
