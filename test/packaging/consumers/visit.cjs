/** Visits a server with each of these tokens and tells what it said: status, problem code or subject. */
exports.visit = async function visit(handler, tokens) {
  const server = require('node:http').createServer(handler)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const answers = {}
  for (const [name, token] of Object.entries(tokens)) {
    const reply = await fetch(`http://127.0.0.1:${server.address().port}/orders`, {
      headers: { Connection: 'close', ...(token && { Authorization: `Bearer ${token}` }) },
    })
    const { code, subject } = await reply.json()
    answers[name] = [reply.status, code ?? subject, reply.headers.get('X-Content-Type-Options')]
  }
  await new Promise((resolve) => server.close(resolve))
  return answers
}
