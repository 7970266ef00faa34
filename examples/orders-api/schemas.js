// What requests must look like: JSON Schema 2020-12. Members that are not named here are refused.

const items = {
  type: 'array',
  minItems: 1,
  maxItems: 50,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['sku', 'quantity'],
    properties: {
      sku: { type: 'string', pattern: '^[A-Z0-9-]{1,20}$' },
      quantity: { type: 'integer', minimum: 1, maximum: 1_000 },
    },
  },
}

export const newOrder = {
  type: 'object',
  required: ['customer', 'card', 'items'],
  properties: {
    customer: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'email'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 100 },
        email: { type: 'string', format: 'email', maxLength: 254 },
      },
    },
    card: { type: 'string', pattern: '^[0-9]{12,19}$' },
    items,
  },
}

export const change = { type: 'object', required: ['items'], properties: { items } }

export const payout = {
  type: 'object',
  required: ['amount', 'to'],
  properties: {
    amount: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    to: { type: 'string', pattern: '^[A-Z]{2}[0-9A-Z]{13,32}$' },
  },
}

export const byId = { type: 'object', properties: { id: { type: 'string', pattern: '^o-[0-9]{1,9}$' } } }

export const page = {
  type: 'object',
  properties: {
    status: { enum: ['open', 'cancelled'] },
    limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
  },
}
