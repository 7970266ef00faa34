export { body, bodyRead, type BodyOptions, type BodyRead } from './body.js'
