/** `oidc-provider` says on the console what it thinks of this version of Node and of http. Not while the tests of this file run. */
export function quietConsole(): void {
  beforeAll(() => {
    jest.spyOn(console, 'warn').mockImplementation(() => undefined)
    jest.spyOn(console, 'info').mockImplementation(() => undefined)
  })
  afterAll(() => jest.restoreAllMocks())
}
