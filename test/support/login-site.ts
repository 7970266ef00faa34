import { startLoginProvider } from './login-provider.js'
import { quietConsole } from './quiet-console.js'
import { waitingApp } from './waiting-app.js'

type LoginProvider = Awaited<ReturnType<typeof startLoginProvider>>

interface LoginSite {
  /** The origin of the application. */
  readonly app: string
  /** What the application is from now on. */
  readonly answerBy: Awaited<ReturnType<typeof waitingApp>>['answerBy']
  readonly provider: LoginProvider
}

/** A real identity provider, and a place for its application, both as long as the tests of a file run. */
export function loginSite(): LoginSite {
  const site = {} as { -readonly [member in keyof LoginSite]: LoginSite[member] }
  let leave: () => void
  quietConsole()
  beforeAll(async () => {
    const place = await waitingApp()
    leave = () => place.close()
    site.app = place.origin
    site.answerBy = place.answerBy
    site.provider = await startLoginProvider(site.app)
  })
  afterAll(async () => {
    leave()
    await site.provider.close()
  })
  return site
}
