import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePort, until } from './private-redis.js'

/** A PostgreSQL cluster of a test's own, in a folder of its own, on loopback. */
export class PrivatePostgres {
  readonly url: string
  private readonly dir = mkdtempSync(join(tmpdir(), 'secure-api-postgres-'))
  private child: ChildProcess | undefined

  private constructor(private readonly port: number) {
    this.url = `postgres://tester@127.0.0.1:${port}/postgres`
  }

  /** Somebody else may take a port that was free a moment ago; then another one has to do. */
  static async start(): Promise<PrivatePostgres> {
    for (;;) {
      const server = new PrivatePostgres(await freePort())
      server.init()
      if (await server.tryStart()) return server
      await server.stop()
    }
  }

  /** Ends it; it can be started again, where it was and with what it has. */
  async down(): Promise<void> {
    if (this.child?.exitCode !== null) return
    const gone = once(this.child, 'exit')
    // Connections that are left over are cut.
    this.child.kill('SIGINT')
    await gone
  }

  async start(): Promise<void> {
    await until(() => this.tryStart())
  }

  async stop(): Promise<void> {
    await this.down()
    rmSync(this.dir, { recursive: true, force: true })
  }

  private init(): void {
    const own = user()
    if (own !== undefined) chownSync(this.dir, own.uid, own.gid)
    const options = [
      '-U',
      'tester',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--no-locale',
      '--no-sync',
      '--no-instructions',
    ]
    execFileSync(program('initdb'), ['-D', this.dir, ...options], { stdio: 'ignore', cwd: this.dir, ...own })
  }

  private async tryStart(): Promise<boolean> {
    const settings = ['fsync=off', 'shared_buffers=16MB', 'max_connections=30', 'autovacuum=off']
    const args = ['-D', this.dir, '-h', '127.0.0.1', '-p', String(this.port), '-k', this.dir]
    const child = spawn(program('postgres'), [...args, ...settings.flatMap((one) => ['-c', one])], {
      stdio: 'ignore',
      cwd: this.dir,
      ...user(),
    })
    this.child = child
    await until(async () => child.exitCode !== null || (await this.answers()))
    return child.exitCode === null
  }

  private async answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.end()
      return true
    } catch {
      return false
    }
  }
}

/** PostgreSQL refuses to run as root; the package comes with a user for it. */
function user(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** Debian keeps the programs of each version apart, and out of the path. */
function program(name: string): string {
  const root = '/usr/lib/postgresql'
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return join(root, versions[0]!, 'bin', name)
}
