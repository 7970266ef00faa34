/** The same small API in each framework: how users mount what `secureApi()` made. */
exports.apps = {
  express(api, express) {
    const app = express()
    app.use(api)
    app.get('/orders', api.guard({ rbac: 'orders:read' }), (req, res) => {
      res.json({ subject: req.security.principal.subject })
    })
    app.use(api.errors())
    return app
  },
  connect(api, connect, contextOf) {
    const app = connect()
    app.use(api)
    app.use('/orders', (req, res) => answer(res, contextOf(req)))
    app.use(api.errors())
    return app
  },
  http: (api, _http, contextOf) => api.protect((req, res) => answer(res, contextOf(req))),
}

function answer(res, { principal }) {
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ subject: principal.subject }))
}
