import { slot } from './context.js'

/** The path parameters of the rule in `routes` that fits the request, decoded. Set before any stage runs. */
export const routeParams = slot<Readonly<Record<string, string>>>('route.params')
