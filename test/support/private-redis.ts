import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** A Redis server of a test's own, that may be stopped, killed and started again at the same address. */
export class PrivateRedis {
  readonly url: string
  private child: ChildProcess | undefined
  private readonly dir = mkdtempSync(join(tmpdir(), 'secure-api-redis-'))

  private constructor(
    readonly port: number,
    private readonly args: readonly string[],
  ) {
    this.url = `redis://127.0.0.1:${port}`
  }

  static async start(...args: string[]): Promise<PrivateRedis> {
    const server = new PrivateRedis(await freePort(), args)
    await server.start()
    return server
  }

  async start(): Promise<void> {
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--dir', this.dir]
    this.child = spawn('redis-server', [...fixed, ...this.args], { stdio: 'ignore' })
    await until(() => this.accepts())
  }

  signal(name: NodeJS.Signals): void {
    this.child!.kill(name)
  }

  async kill(): Promise<void> {
    const gone = once(this.child!, 'exit')
    this.signal('SIGKILL')
    await gone
    this.child = undefined
  }

  async stop(): Promise<void> {
    if (this.child !== undefined) await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }

  private accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => {
        socket.end()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  return port
}

/** Asks again and again until it is so. A test that waits in vain ends by its own timeout. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(10)
}
