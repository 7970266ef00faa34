export { ConfigError } from './kernel/config-error.js'
