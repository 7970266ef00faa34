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

  /** Somebody else may take a port that was free a moment ago; then another one has to do. */
  static async start(...args: string[]): Promise<PrivateRedis> {
    for (;;) {
      const server = new PrivateRedis(await freePort(), args)
      if (await server.tryStart()) return server
      await server.stop()
    }
  }

  /** Starts it again, where it was before. */
  async start(): Promise<void> {
    await until(() => this.tryStart())
  }

  private async tryStart(): Promise<boolean> {
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--dir', this.dir]
    const child = spawn('redis-server', [...fixed, ...this.args], { stdio: 'ignore' })
    await until(async () => child.exitCode !== null || (await this.answers()))
    if (child.exitCode !== null) return false
    this.child = child
    return true
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

  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write('PING\r\n'))
      socket.once('data', (reply) => {
        socket.destroy()
        resolve(/^\+PONG|^-NOAUTH/.test(reply.toString()))
      })
      socket.once('error', () => resolve(false))
      socket.once('close', () => resolve(false))
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
