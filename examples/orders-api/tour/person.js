// Somebody with a browser, who keeps a row of the tour for each request.
import { compared } from './compare.js'
import { Jar, throughProvider } from './visitor.js'

/** One browser: what it has of this API, and what of the identity provider. */
export class Person {
  here = new Jar()
  there = new Jar()

  constructor(tour) {
    this.tour = tour
  }

  /** Sends a request as the page of the API does, unless `headers` say otherwise, and keeps the row. */
  async does({ headers, ...request }) {
    const { send, origin, rows } = this.tour
    const fields = { Cookie: String(this.here), Origin: origin, ...headers }
    const reply = await send({ ...request, headers: fields })
    this.here.keep(reply.headers['set-cookie'])
    rows.push(compared(request, reply))
    return reply
  }

  /** From the login here to the identity provider, and through its pages. Where that leads back to, is not visited yet. */
  async logsInThere(user, row) {
    const { headers } = await this.does(row)
    return this.goesThrough(headers.location, { login: user, password: 'any' })
  }

  async goesThrough(url, typed) {
    const back = new URL(await throughProvider(url, this.there, typed))
    return back.pathname + back.search
  }
}
