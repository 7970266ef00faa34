// What requests of the tour have in common.

export const ORDER = {
  customer: { name: 'Grace Hopper', email: 'grace@example.com' },
  card: '4242424242424242',
  items: [{ sku: 'MOTH-1', quantity: 2 }],
}

export const create = (body) => ({ method: 'POST', path: '/orders', body })

/** Of an order that is named besides. */
export const change = { method: 'PATCH', body: { items: [{ sku: 'TAPE-9', quantity: 2 }] } }

export const pay = { method: 'POST', path: '/payouts', body: { amount: 12_000, to: 'NL91ABNA0417164300' } }

/** @param {Record<string, string>} tokens */
export const bearing = (tokens) => (name) => ({ token: tokens[name] })
