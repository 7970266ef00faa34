// What the page does in the browser. It holds no credential: the cookie of the session is out of its reach.

const find = (id) => document.getElementById(id)
const say = (text) => (find('said').textContent = text)

async function post(path, body = {}) {
  const reply = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = await reply.json()
  if (!reply.ok) throw new Error(`${answer.code}: ${answer.detail ?? answer.title}`)
  return answer
}

async function register() {
  const options = await post('/mfa/passkeys/options')
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
  const credential = await navigator.credentials.create({ publicKey })
  await post('/mfa/passkeys/register', { credential: credential.toJSON() })
  say('The passkey is registered.')
}

async function show() {
  const options = await post('/mfa/passkeys/proof-options')
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  const credential = await navigator.credentials.get({ publicKey })
  await post('/mfa/passkeys/proof', { credential: credential.toJSON() })
  say('The passkey was shown. It is good for five minutes.')
}

/** An app that waits for its first code, so that it is confirmed by it. */
let isPending = false

async function enrol() {
  const { secret, uri } = await post('/mfa/codes/enrol')
  isPending = true
  // People scan `uri` as a QR picture; make it here, in the page, so that nobody else sees the secret.
  say(`Give the app ${secret}, or open ${uri}, and send its first code.`)
}

async function sendCode() {
  const { code } = Object.fromEntries(new FormData(find('code')))
  const { recovery_codes: recovery } = await post(`/mfa/codes/${isPending ? 'confirm' : 'verify'}`, { code })
  isPending = false
  say(
    `The code was right. It is good for five minutes.${recovery ? ` Keep these: ${recovery.join(' ')}` : ''}`,
  )
}

async function pay() {
  const { by } = await post('/payouts', { amount: 12_000, to: 'NL91ABNA0417164300' })
  say(`Paid, by ${by}.`)
}

/** What was refused is said, in the words of the API; `insufficient-user-authentication` asks for a factor. */
const doing = (action) => (event) => {
  event.preventDefault()
  action().catch((error) => say(error.message))
}
for (const action of [register, show, enrol, pay]) find(action.name).addEventListener('click', doing(action))
find('code').addEventListener('submit', doing(sendCode))

const me = await fetch('/me')
find(me.ok ? 'user' : 'stranger').hidden = false
if (me.ok) {
  const { name, roles } = await me.json()
  find('name').textContent = name
  find('roles').textContent = roles.join(', ')
}
