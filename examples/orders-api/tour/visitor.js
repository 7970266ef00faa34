// A browser without a window: it keeps cookies, follows redirects, and fills in the forms of the identity provider.

/** The cookies that one host has set. */
export class Jar {
  #cookies = new Map()
  /** All values that it ever had: none of them may be on record. */
  values = new Set()

  keep(setCookie = []) {
    for (const field of setCookie) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(field)
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(field)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
      if (value !== '') this.values.add(value)
    }
  }

  toString() {
    return [...this.#cookies].map((pair) => pair.join('=')).join('; ')
  }
}

/**
 * Goes from page to page of the identity provider, until it leads away from there.
 * @param {string} url of its first page
 * @param {Jar} jar what it has set before
 * @param {Record<string, string>} typed what the user types or presses, by the names of the fields
 * @returns {Promise<string>} where it leads
 */
export async function throughProvider(url, jar, typed) {
  const { origin } = new URL(url)
  let page = { url, method: 'GET' }
  for (let pages = 0; pages < 10; pages++) {
    const reply = await fetch(page.url, {
      method: page.method,
      headers: { Cookie: String(jar) },
      body: page.form,
      redirect: 'manual',
    })
    jar.keep(reply.headers.getSetCookie())
    const location = reply.headers.get('location')
    page = location === null ? filledIn(await reply.text(), typed) : { url: location, method: 'GET' }
    page.url = new URL(page.url, url).href
    if (new URL(page.url).origin !== origin) return page.url
  }
  throw new Error(`${url} leads nowhere`)
}

/** The form of a page, as a request. Hidden fields are sent as they are. */
function filledIn(html, typed) {
  const [, url] = /<form[^>]* action="([^"]+)"/.exec(html) ?? []
  if (url === undefined) throw new Error(`A page without a form: ${html}`)
  const form = new URLSearchParams()
  for (const [field] of html.matchAll(/<(?:input|button)[^>]*>/g)) {
    const { name, value } = Object.fromEntries(
      [...field.matchAll(/(\w+)="([^"]*)"/g)].map((found) => found.slice(1)),
    )
    const said = typed[name] ?? value
    if (name !== undefined && said !== undefined) form.set(name, said)
  }
  return { url, method: 'POST', form }
}
