export { cors, type CorsOptions } from './cors.js'
export { firewall, type AllowedAmbiguities, type FirewallOptions } from './firewall.js'
export { headers, type HeadersOptions } from './headers.js'
