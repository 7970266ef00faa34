// Orders in memory. A database goes here; nothing in this file is about security.

const MAX_ORDERS = 1_000

/** A store with a few orders in it. */
export function orderStore() {
  const orders = new Map()
  let last = 1000

  function create({ customer, card, items }, createdBy) {
    if (orders.size >= MAX_ORDERS) orders.delete(orders.keys().next().value)
    const order = { id: `o-${++last}`, status: 'open', createdBy, customer, card, items }
    orders.set(order.id, order)
    return order
  }

  const list = ({ status, createdBy, limit }) =>
    [...orders.values()]
      .filter((order) => status === undefined || order.status === status)
      .filter((order) => createdBy === undefined || order.createdBy === createdBy)
      .slice(0, limit)

  const cancel = (order) => Object.assign(order, { status: 'cancelled' })

  const report = () => ({
    orders: orders.size,
    cancelled: list({ status: 'cancelled', limit: MAX_ORDERS }).length,
  })

  create(
    {
      customer: { name: 'Ada Lovelace', email: 'ada@example.com' },
      // A real shop keeps its payment provider's token here, never the number.
      card: '4111111111111111',
      items: [{ sku: 'ENGINE-1', quantity: 1 }],
    },
    'clerk',
  )
  create(
    {
      customer: { name: 'Alan Turing', email: 'alan@example.com' },
      card: '5555555555554444',
      items: [{ sku: 'TAPE-9', quantity: 3 }],
    },
    'clerk',
  )

  cancel(
    create(
      {
        customer: { name: 'Edsger Dijkstra', email: 'edsger@example.com' },
        card: '4000056655665556',
        items: [{ sku: 'PATH-1', quantity: 1 }],
      },
      'clerk',
    ),
  )

  return {
    create,
    list,
    report,
    find: (id) => orders.get(id),
    change: (order, { items }) => Object.assign(order, { items }),
    cancel,
  }
}
