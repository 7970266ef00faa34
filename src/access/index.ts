export { rbac, type RbacOptions, type RbacSettings } from './rbac.js'
