export { body, bodyRead, type BodyOptions, type BodyRead } from './body.js'
export {
  mask,
  type HashKey,
  type MaskException,
  type MaskLimits,
  type MaskMap,
  type MaskOptions,
  type MaskSettings,
  type Style,
} from './mask.js'
export {
  validate,
  type InferInput,
  type JsonSchema,
  type Schema,
  type StandardSchema,
  type ValidateMiddleware,
  type ValidateOptions,
} from './validate.js'
