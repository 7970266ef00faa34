const { once } = require('node:events')
const { rmSync } = require('node:fs')

module.exports = async function stopRedis() {
  const { child, dir } = globalThis.__redis
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
  rmSync(dir, { recursive: true, force: true })
}
