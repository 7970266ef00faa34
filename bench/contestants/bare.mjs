// Express 5 and nothing else.
import express from 'express'
import { readOrder, storeOrder } from '../world.mjs'

export function listener() {
  const app = express()
  app.get('/orders/:id', (req, res) => res.json(readOrder(req.params.id)))
  app.post('/orders', express.json(), (req, res) => res.status(201).json(storeOrder(req.body)))
  return app
}
