// The page for people. It is data for everybody; what it does for whom, the routes that it calls decide.
import { readFileSync } from 'node:fs'

/** @param {string} issuer where a logout leads: to browsers, what a form is redirected to is a target of that form */
export function pages(issuer) {
  const page = {
    public: true,
    headers: {
      replace: {
        preset: 'html',
        helmet: { contentSecurityPolicy: { directives: { formAction: ["'self'", new URL(issuer).origin] } } },
      },
    },
  }
  const routes = { 'GET /': page, 'GET /page.js': page }

  function mount(app) {
    for (const [path, file] of Object.entries({ '/': 'index.html', '/page.js': 'page.js' })) {
      const text = readFileSync(new URL(`pages/${file}`, import.meta.url), 'utf8')
      app.get(path, (_req, res) => res.type(file).send(text))
    }
  }

  return { routes, mount }
}
