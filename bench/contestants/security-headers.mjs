// What helmet sets, computed once.
import helmet from 'helmet'

export const SECURITY_HEADERS = []
helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
})(
  {},
  { setHeader: (...field) => SECURITY_HEADERS.push(field), removeHeader: () => undefined },
  () => undefined,
)
