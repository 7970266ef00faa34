export { ConfigError } from './kernel/config-error.js'
export { cors, type CorsOptions } from './transport/cors.js'
export { firewall, type AllowedAmbiguities, type FirewallOptions } from './transport/firewall.js'
export { headers, type HeadersOptions } from './transport/headers.js'
