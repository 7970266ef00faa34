import { createHash, X509Certificate } from 'node:crypto'
import { chromium, type Browser, type CDPSession, type Page } from 'playwright-core'

/** The flags that Debian's Chromium needs as root without a display. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
]

/** Debian's Chromium without a window, which takes this one certificate for a good one, if there is one. */
export function launchChromium(cert?: string): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: cert === undefined ? FLAGS : [...FLAGS, `--ignore-certificate-errors-spki-list=${digestOf(cert)}`],
  })
}

function digestOf(cert: string): string {
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64')
}

/** An authenticator of the browser's own, whose user can be told to refuse. */
export interface VirtualAuthenticator {
  /** Whether it knows its user from now on. */
  verifies(isUser: boolean): Promise<void>
}

/** Plugs an authenticator into a page: built in, with passkeys that it finds by itself. */
export async function addAuthenticator(page: Page): Promise<VirtualAuthenticator> {
  const devtools: CDPSession = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      ...{ protocol: 'ctap2', transport: 'internal', hasResidentKey: true },
      ...{ hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    },
  })
  return {
    verifies: (isUserVerified) =>
      devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }) as Promise<never>,
  }
}
